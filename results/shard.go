package results

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"cutmix-eval/internal/text"
)

// Shard is one of N equal shares of a run: the parts whose number modulo N is I.
// The zero value is the whole run.
type Shard struct{ I, N int }

// Whole says whether the shard is everything.
func (s Shard) Whole() bool { return s.N <= 1 }

func (s Shard) has(part int) bool { return s.Whole() || part%s.N == s.I }

func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.I, max(s.N, 1)) }

// maxShards bounds the shares of a run.
const maxShards = 1 << 16

// ParseShard reads "i/n" with i from 0 to n-1, or "auto", which takes the pair
// from the environment: SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT of a Slurm job
// array, or JOB_COMPLETION_INDEX of a Kubernetes indexed job, which does not say
// how many there are: "auto/n" does, or the variable JOB_COMPLETIONS. "" is the
// whole run. env is os.Getenv.
func ParseShard(s string, env func(string) string) (Shard, error) {
	if s == "" {
		return Shard{}, nil
	}
	first, second, divided := strings.Cut(s, "/")
	if first == "auto" {
		return autoShard(second, env)
	}
	i, err1 := strconv.Atoi(first)
	n, err2 := strconv.Atoi(second)
	if !divided || err1 != nil || err2 != nil || n < 1 || i < 0 || i >= n {
		return Shard{}, fmt.Errorf("shard %q is not i/n with i from 0 to n-1, as in 0/4, nor auto", text.Bounded(s))
	}
	if n > maxShards {
		return Shard{}, fmt.Errorf("shard %q is one of more than %d", s, maxShards)
	}
	return Shard{i, n}, nil
}

func autoShard(count string, env func(string) string) (Shard, error) {
	if env == nil {
		env = os.Getenv
	}
	number := func(name, missing string) (int, error) {
		v := env(name)
		if v == "" {
			v = missing
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			return 0, fmt.Errorf("shard auto: %s is %q, not a number", name, v)
		}
		return n, nil
	}
	var s Shard
	switch {
	case env("SLURM_ARRAY_TASK_ID") != "":
		var v [4]int
		for i, q := range [][2]string{{"SLURM_ARRAY_TASK_ID", ""}, {"SLURM_ARRAY_TASK_MIN", "0"}, {"SLURM_ARRAY_TASK_STEP", "1"}, {"SLURM_ARRAY_TASK_COUNT", count}} {
			n, err := number(q[0], q[1])
			if err != nil {
				return s, err
			}
			v[i] = n
		}
		s = Shard{(v[0] - v[1]) / max(v[2], 1), v[3]}
	case env("JOB_COMPLETION_INDEX") != "":
		i, err := number("JOB_COMPLETION_INDEX", "")
		if err != nil {
			return s, err
		}
		if count == "" {
			count = env("JOB_COMPLETIONS")
		}
		n, err := strconv.Atoi(count)
		if err != nil {
			return s, fmt.Errorf("shard auto: JOB_COMPLETION_INDEX does not say of how many; give --shard auto/N, or set JOB_COMPLETIONS")
		}
		s = Shard{i, n}
	default:
		return s, fmt.Errorf("shard auto: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set; give --shard i/n")
	}
	if s.N < 1 || s.I < 0 || s.I >= s.N || s.N > maxShards {
		return s, fmt.Errorf("shard auto: the environment says shard %d of %d", s.I, s.N)
	}
	return s, nil
}
