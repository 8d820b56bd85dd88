package metrics

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// z95 is the 97.5 % quantile of the normal distribution.
const z95 = 1.959963984540054

// Interval is a confidence interval.
type Interval struct {
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Level  float64 `json:"level"`
	Method string  `json:"method"`
}

// Wilson is the 95 % score interval of a proportion of hits among n (Wilson,
// 1927). n must be above 0.
func Wilson(hits, n int) Interval {
	if n <= 0 || hits < 0 || hits > n {
		panic("metrics: Wilson of an impossible count")
	}
	nf, p := float64(n), float64(hits)/float64(n)
	z2 := z95 * z95
	centre := (p + z2/(2*nf)) / (1 + z2/nf)
	half := z95 / (1 + z2/nf) * math.Sqrt(p*(1-p)/nf+z2/(4*nf*nf))
	iv := Interval{Low: max(0, centre-half), High: min(1, centre+half), Level: 0.95, Method: "Wilson"}
	if hits == 0 {
		iv.Low = 0
	}
	if hits == n {
		iv.High = 1
	}
	return iv
}

// Logit95 is the 95 % interval of an area under a precision-recall curve with the given
// number of positives, from the normal approximation of its logit (Boyd, Eng and Page,
// ECML 2013).
func Logit95(area float64, positives int) Interval {
	iv := Interval{area, area, 0.95, "logit (Boyd et al., 2013)"}
	if !(area > 0 && area < 1) {
		// The formula has no width there; Wilson's has.
		w := Wilson(int(math.Round(area*float64(positives))), positives)
		iv.Low, iv.High = w.Low, w.High
		return iv
	}
	at := math.Log(area / (1 - area))
	half := z95 / math.Sqrt(float64(positives)*area*(1-area))
	iv.Low, iv.High = 1/(1+math.Exp(half-at)), 1/(1+math.Exp(-half-at))
	return iv
}

// Mean is the mean of values, one of each independent item, with its 95 % interval by the
// normal distribution of a mean. Where all values are the same that would have no width, and
// the interval is as wide to both sides as Wilson's of no hits among as many, times the mean
// where that is above 1. There must be a value.
func Mean(values []float64) (float64, Interval) {
	sum, square, n := 0.0, 0.0, float64(len(values))
	for _, v := range values {
		sum += v
	}
	m := sum / n
	for _, v := range values {
		square += (v - m) * (v - m)
	}
	half, method := z95*math.Sqrt(square/max(n-1, 1)/n), "normal, over images"
	if square == 0 {
		half, method = Wilson(0, len(values)).High*max(1, m), "Wilson: all images give the same"
	}
	return m, Interval{m - half, m + half, 0.95, method}
}

// Share is a proportion with its interval's ends.
type Share struct{ Value, Low, High float64 }

// WilsonShare is hits of n with Wilson's ends.
func WilsonShare(hits, n int) Share {
	iv := Wilson(hits, n)
	return Share{float64(hits) / float64(n), iv.Low, iv.High}
}

// MeanOfShares is the mean of independent proportions with the interval that their own
// intervals give together (Newcombe, 1998); NaN of none.
func MeanOfShares(s []Share) (float64, Interval) {
	mean, low, high := 0.0, 0.0, 0.0
	k := float64(len(s))
	for _, x := range s {
		mean += x.Value / k
		low += (x.Value - x.Low) * (x.Value - x.Low)
		high += (x.High - x.Value) * (x.High - x.Value)
	}
	return mean, Interval{max(0, mean-math.Sqrt(low)/k), min(1, mean+math.Sqrt(high)/k), 0.95, "Newcombe, of Wilson's"}
}

// Statistic computes numbers from n items of which item i counts count[i]
// times; the counts sum to n. It must not keep or change count.
type Statistic func(count []uint16) []float64

// Bootstrap draws replicates resamples of n items and returns the statistic of
// each: out[k] holds the replicates of number k, sorted, NaN left out. The
// same seed gives the same result whatever the number of processors. stat is
// called from several goroutines. An item that is drawn more than 65535 times, which
// does not happen by chance, counts 65535 times. The only error is ctx's.
func Bootstrap(ctx context.Context, n, replicates int, seed uint64, stat Statistic) ([][]float64, error) {
	res := make([][]float64, replicates)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			count := make([]uint16, n)
			for ctx.Err() == nil {
				r := int(next.Add(1)) - 1
				if r >= replicates {
					return nil
				}
				clear(count)
				rng := rand.NewPCG(seed, uint64(r))
				for range n {
					i := bounded(rng, uint64(n))
					if count[i] < math.MaxUint16 {
						count[i]++
					}
				}
				res[r] = stat(count)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := make([][]float64, len(res[0]))
	for k := range out {
		for _, r := range res {
			if !math.IsNaN(r[k]) {
				out[k] = append(out[k], r[k])
			}
		}
		slices.Sort(out[k])
	}
	return out, nil
}

// bounded is a number below n, unbiased (Lemire's method).
func bounded(rng *rand.PCG, n uint64) uint64 {
	hi, lo := bits.Mul64(rng.Uint64(), n)
	for lo < n {
		if lo >= -n%n {
			break
		}
		hi, lo = bits.Mul64(rng.Uint64(), n)
	}
	return hi
}

// maxReplicates bounds bootstrap replicates: each keeps all numbers of a report, and an interval
// changes in digits that nobody reads long before.
const maxReplicates = 100_000

// CheckReplicates says whether so many bootstrap replicates are enough for an interval, and not
// too many.
func CheckReplicates(n int) error {
	switch {
	case n < 100:
		return fmt.Errorf("%d bootstrap replicates: at least 100", n)
	case n > maxReplicates:
		return fmt.Errorf("%d bootstrap replicates: at most %d", n, maxReplicates)
	}
	return nil
}

// Percentile is the 95 % interval between the 2.5 % and 97.5 % quantiles of
// sorted replicates; its ends are NaN where there are none.
func Percentile(sorted []float64) Interval {
	return Interval{Quantile(sorted, 0.025), Quantile(sorted, 0.975), 0.95, "bootstrap percentile"}
}

// Basic is the 95 % basic (reflected) bootstrap interval of a number from 0 to 1, cut at
// both. It is the one to use for numbers that noise can only raise, such as binned calibration
// errors: replicates lie as far above the value as the value above the truth.
// Its upper end can therefore lie below the value.
func Basic(value float64, sorted []float64) Interval {
	cut := func(v float64) float64 { return min(max(v, 0), 1) }
	return Interval{cut(2*value - Quantile(sorted, 0.975)), cut(2*value - Quantile(sorted, 0.025)), 0.95, "bootstrap basic"}
}

// Quantile is the q-quantile, 0 to 1, of ascending numbers, interpolated linearly between two
// of them as numpy does by default; NaN of none.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
