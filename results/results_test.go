package results

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// record is a task's row.
type record struct {
	Row
	Score float64 `parquet:"score"`
	Top   []int32 `parquet:"top,list"`
}

const samples = 100

func manifest() Manifest {
	return Manifest{
		Key: Key{Task: "test", Model: Model{SHA256: "abc", Output: "logits"}, Preprocessing: "p", Data: Data{Fingerprint: "d", N: samples, Labels: "l"},
			Config: map[string]any{"restrict": false}, Device: Device{ORT: "1.0", Name: "cpu"}, PartSize: 16},
		Arrays: []Array{{"logits", 3}}, About: []byte(`{"note":"x"}`),
	}
}

func rowOf(i int) record {
	r := record{Row: Row{Index: int64(i), ID: strconv.Itoa(i) + ".png", Class: "c", Status: OK, Width: 3, Height: 4}, Score: float64(i) / 3, Top: []int32{int32(i), 1}}
	if i%10 == 9 {
		r.Status, r.Error, r.Top = Bad, "damaged", nil
	}
	return r
}

func logitsOf(i int) []float32 {
	if i%10 == 9 {
		return nil
	}
	return []float32{float32(i), 1, -1}
}

// fill writes the samples to a run.
func fill(t testing.TB, r *Run, at []int) error {
	t.Helper()
	w := NewWriter[record](r)
	for _, i := range at {
		if err := w.Add(rowOf(i), logitsOf(i)); err != nil {
			_ = w.Close()
			return err
		}
	}
	return w.Close()
}

func create(t testing.TB, dir string, m Manifest, selection []int) *Run {
	t.Helper()
	return claimed(t, dir, m, selection, Shard{})
}

func claimed(t testing.TB, dir string, m Manifest, selection []int, s Shard) *Run {
	t.Helper()
	r, err := Claim(context.Background(), dir, m, selection, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// contents reads a run back and checks every row.
func contents(t testing.TB, r *Run) []int {
	t.Helper()
	var at []int
	err := Each[record](context.Background(), r, []string{"logits"}, func(row *record, arrays [][]float32) error {
		i := int(row.Index)
		want, z := rowOf(i), logitsOf(i)
		if z == nil {
			z = make([]float32, 3)
		}
		if row.Row != want.Row || row.Score != want.Score || !slices.Equal(row.Top, want.Top) || !slices.Equal(arrays[0], z) {
			t.Errorf("row %d is %+v %v", i, row, arrays)
		}
		at = append(at, i)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func upTo(n int) []int {
	var v []int
	for i := range n {
		v = append(v, i)
	}
	return v
}

// Rows are read in any order, of shares in several folders, with few files open.
func TestRows(t *testing.T) {
	defer func(n int) { mostOpen = n }(mostOpen)
	mostOpen = 2
	dirs := []string{t.TempDir(), t.TempDir()}
	for k, dir := range dirs {
		r := claimed(t, dir, manifest(), nil, Shard{k, 2})
		if err := fill(t, r, r.Missing(Shard{k, 2})); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rows("maps"); err == nil {
		t.Error("there is an array of another name")
	}
	rows, err := r.Rows("logits")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, 3)
	for k := range 3 * samples {
		i := k * 37 % samples
		want := logitsOf(i)
		if want == nil {
			want = make([]float32, 3)
		}
		if err := rows.Read(got, i); err != nil || !slices.Equal(got, want) {
			t.Fatalf("row %d is %v, want %v: %v", i, got, want, err)
		}
	}
	for _, i := range []int{-1, samples, 1 << 40} {
		if err := rows.Read(got, i); err == nil {
			t.Errorf("there is a row %d", i)
		}
	}
	if err := rows.Read(got[:2], 0); err == nil {
		t.Error("rows have 2 values")
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	// What was damaged is noticed before it is used.
	files, err := filepath.Glob(filepath.Join(dirs[0], "*", "*.npy"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], data[:len(data)-4], 0o600); err != nil {
		t.Fatal(err)
	}
	if rows, err = r.Rows("logits"); err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	bad := 0
	for i := range samples {
		if rows.Read(got, i) != nil {
			bad++
		}
	}
	if bad == 0 || bad > 16 {
		t.Errorf("%d rows of a damaged part are refused", bad)
	}
}

// A run is removed, whole or damaged; what is not its own stays.
func TestDiscard(t *testing.T) {
	for _, damage := range []string{"", "{", "none"} {
		dir := t.TempDir()
		r := claimed(t, filepath.Join(dir, "run"), manifest(), upTo(50), Shard{})
		if err := fill(t, r, r.Missing(Shard{})); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		mine := filepath.Join(dir, "run", "parts", "photo.png")
		if err := os.WriteFile(mine, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		switch damage {
		case "none":
			if err := os.Remove(filepath.Join(dir, "run", manifestName)); err != nil {
				t.Fatal(err)
			}
		case "{":
			if err := os.WriteFile(filepath.Join(dir, "run", manifestName), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := Discard(filepath.Join(dir, "run")); err != nil {
			t.Fatal(err)
		}
		var left []string
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				left = append(left, filepath.Base(path))
			}
			return err
		})
		if err != nil || !slices.Contains(left, "photo.png") || (len(left) == 1) != (damage != "none") {
			t.Errorf("damage %q: %v is left: %v", damage, left, err)
		}
		if damage == "none" {
			continue
		}
		if err := os.Remove(mine); err != nil {
			t.Fatal(err)
		}
		r = claimed(t, filepath.Join(dir, "run"), manifest(), nil, Shard{}) // another selection
		if n := len(r.Missing(Shard{})); n != samples {
			t.Errorf("%d of the samples are missing in a new run", n)
		}
	}
	if err := Discard(filepath.Join(t.TempDir(), "gone")); err != nil {
		t.Error(err)
	}
}

// However often a run is left and gone on with, it has every row once.
func TestResume(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		dir := filepath.Join(t.TempDir(), "run")
		if r, err := Find(dir); r != nil || err != nil {
			t.Fatalf("%v %v", r, err)
		}
		for {
			r := claimed(t, dir, manifest(), nil, Shard{})
			todo := r.Missing(Shard{})
			if len(todo) == 0 {
				if err := r.Complete(); err != nil {
					t.Fatal(err)
				}
				if got := contents(t, r); !slices.Equal(got, upTo(samples)) {
					t.Fatalf("rows %v", got)
				}
				break
			}
			if err := r.Complete(); !errors.Is(err, ErrIncomplete) {
				t.Fatalf("%v", err)
			}
			if err := fill(t, r, todo[:1+rng.IntN(len(todo))]); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A selection can grow; one that shrinks is a view and changes nothing.
func TestSelection(t *testing.T) {
	dir := t.TempDir()
	m := manifest()
	m.Limit = 3
	r := create(t, dir, m, []int{2, 40, 99})
	if err := fill(t, r, r.Missing(Shard{})); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	m.Limit = 5
	r = create(t, dir, m, []int{2, 3, 39, 40, 99})
	if got := r.Missing(Shard{}); !slices.Equal(got, []int{3, 39}) {
		t.Fatalf("missing %v", got)
	}
	if err := fill(t, r, []int{3, 39}); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, r); !slices.Equal(got, []int{2, 3, 39, 40, 99}) {
		t.Errorf("rows %v", got)
	}
	if arrays, _ := filepath.Glob(filepath.Join(dir, "parts", "*.npy")); len(arrays) != 3 {
		t.Errorf("arrays of tables that are no more: %v", arrays)
	}
	m.Limit = 1
	r = create(t, dir, m, []int{3})
	r.View(m, []int{3})
	if !slices.Equal(contents(t, r), []int{3}) || r.Complete() != nil {
		t.Error("a view has other samples")
	}
	_ = r.Close()
	if r, err = Open(dir); err != nil || r.Manifest.Limit != 5 || len(contents(t, r)) != 5 {
		t.Errorf("a smaller limit changed the run: %v", err)
	}
	r = create(t, dir, manifest(), nil)
	if got := len(r.Missing(Shard{})); got != samples-5 {
		t.Errorf("%d missing of all", got)
	}
	_ = r.Close()
	if _, err := os.Stat(filepath.Join(dir, selectionName)); err == nil {
		t.Error("a run of all samples has a selection")
	}
}

// Shares of a run make the whole, in one folder and in several, in any order, and
// what is missing is named.
func TestShards(t *testing.T) {
	const n = 3
	one := t.TempDir()
	var several []string
	for _, i := range []int{2, 0, 1} {
		s := Shard{i, n}
		own := filepath.Join(t.TempDir(), strconv.Itoa(i))
		for _, dir := range []string{one, own} {
			run := claimed(t, dir, manifest(), nil, s)
			if err := fill(t, run, run.Missing(s)); err != nil {
				t.Fatal(err)
			}
			if err := run.Close(); err != nil {
				t.Fatal(err)
			}
		}
		several = append(several, own)
		got, err := Open(one)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Complete(); i != 1 && (err == nil || !strings.Contains(err.Error(), "1/3 (") || strings.Contains(err.Error(), "2/3 (")) || i == 1 && err != nil {
			t.Errorf("after shard %d: %v", i, err)
		}
	}
	for _, dirs := range [][]string{{one}, several, {several[2], several[0], several[1]}, {one, several[0]}} {
		r, err := Open(dirs...)
		if err != nil {
			t.Fatal(err)
		}
		if got := contents(t, r); !slices.Equal(got, upTo(samples)) || r.Complete() != nil {
			t.Errorf("%v: rows %v", dirs, got)
		}
	}
	r, err := Open(several[0], several[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(); err == nil || !strings.Contains(err.Error(), "shard 1/3") {
		t.Errorf("%v", err)
	}
}

// While one process works on a share, another can work on another share of the same
// division, with the same samples, and on nothing else.
func TestClaim(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "h[1]") // a name that is a pattern elsewhere
	ctx := context.Background()
	m := manifest()
	refused := func(s Shard, selection []int, want string) {
		t.Helper()
		if r, err := Claim(ctx, dir, m, selection, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("shard %s: %v, want %q", s, err, want)
			if err == nil {
				_ = r.Close()
			}
		}
	}
	a := claimed(t, dir, m, nil, Shard{})
	refused(Shard{}, nil, "another process is at work")
	refused(Shard{0, 2}, nil, "overlaps")
	_ = a.Close()
	dir = t.TempDir() // another run, of two samples
	first, second := claimed(t, dir, m, []int{1, 50}, Shard{0, 2}), claimed(t, dir, m, []int{1}, Shard{1, 2})
	_ = first.Close()
	refused(Shard{}, nil, "overlaps")
	refused(Shard{0, 3}, nil, "overlaps")
	refused(Shard{0, 2}, nil, "another --limit")
	// What a process that died left is removed by who takes its place, not by others.
	mine, others := filepath.Join(dir, "parts", ".tmp-000002.parquet-1"), filepath.Join(dir, "parts", ".tmp-000003.logits.16.npy-1")
	orphan := arrayPath(dir, 0, "logits", 7)
	if err := fill(t, second, nil); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{mine, others} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := claimed(t, dir, m, []int{1, 50}, Shard{0, 2})
	if err := fill(t, r, []int{1}); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if err := os.WriteFile(orphan, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = claimed(t, dir, m, []int{1, 50}, Shard{0, 2}).Close()
	for _, f := range []string{mine, orphan} {
		if _, err := os.Stat(f); err == nil {
			t.Errorf("%s is still there", f)
		}
	}
	if _, err := os.Stat(others); err != nil {
		t.Error("another share's part was removed")
	}
	// A process sees what another has done since it looked.
	late, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := claimed(t, dir, m, []int{1, 50}, Shard{0, 2})
	extra := manifest()
	if err := fill(t, w, []int{2, 3}); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if err := Each[record](ctx, late, nil, func(*record, [][]float32) error { return nil }); err == nil || !strings.Contains(err.Error(), "another process is writing") {
		t.Errorf("a table that has grown: %v", err)
	}
	_ = second.Close()
	extra.Arrays = append(extra.Arrays, Array{"features", 4})
	if _, err := Claim(ctx, dir, extra, nil, Shard{}); err == nil || !strings.Contains(err.Error(), "keeps no features") {
		t.Errorf("%v", err)
	}
}

// Another model, other pixels, data or options: refused, with both values.
func TestDifferentRun(t *testing.T) {
	dir := t.TempDir()
	_ = create(t, dir, manifest(), nil).Close()
	for _, c := range []struct {
		edit func(*Key)
		want string
	}{
		{func(k *Key) { k.Model.SHA256 = "xyz" }, "it has a model with the SHA-256 abc, not a model with the SHA-256 xyz"},
		{func(k *Key) { k.Preprocessing = "q" }, "pixels with the fingerprint p, not pixels with the fingerprint q"},
		{func(k *Key) { k.Data.N = 99 }, "data of so many images: 100, not data of so many images: 99"},
		{func(k *Key) { k.Config = map[string]any{"restrict": true} }, "it has no --restrict, not --restrict;"},
		{func(k *Key) { k.Config = nil }, `config`},
		{func(k *Key) { k.Device.Name = "cuda" }, "results of the device cpu, not results of the device cuda"},
		{func(k *Key) { k.Device.Alone = true }, `was made in batches, and what this model gives depends on the batch`},
		{func(k *Key) { k.Task = "ood" }, "holds a run of test, not of ood; choose another --out"},
	} {
		m := manifest()
		c.edit(&m.Key)
		_, err := Claim(context.Background(), dir, m, nil, Shard{})
		var different *DifferentRunError
		if !errors.As(err, &different) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	k := manifest().Key
	k.Device = Device{} // not known yet
	if err := r.Check(k); err != nil {
		t.Error(err)
	}
}

// A run that an older version began, which did not say the integer kernels, is gone on with; one
// that says others is another run, and shares of both cannot be joined.
func TestIntegerKernels(t *testing.T) {
	with := func(kernels string) Manifest {
		m := manifest()
		m.Key.Device.Kernels = kernels
		return m
	}
	shares := map[string]string{}
	for i, kernels := range []string{"", "avx2", "avx512_vnni"} {
		dir := t.TempDir()
		shares[kernels] = dir
		r := claimed(t, dir, with(kernels), nil, Shard{i % 2, 2})
		if err := fill(t, r, r.Missing(Shard{i % 2, 2})[:1]); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
	}
	r, err := Claim(context.Background(), shares[""], with("avx2"), nil, Shard{0, 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(t, r, r.Missing(Shard{0, 2})); err != nil || len(r.Missing(Shard{0, 2})) > 0 {
		t.Errorf("an old run cannot be gone on with: %v", err)
	}
	_ = r.Close()
	if old, err := Open(shares[""]); err != nil || len(old.Missing(Shard{0, 2})) > 0 || len(old.Damaged) > 0 {
		t.Errorf("an old run that was gone on with: %v, damaged %v", err, old.Damaged)
	}
	if _, err := Claim(context.Background(), shares["avx2"], with("avx512_vnni"), nil, Shard{1, 2}); err == nil ||
		!strings.Contains(err.Error(), "results of the integer kernels avx2, not results of the integer kernels avx512_vnni") {
		t.Errorf("another processor: %v", err)
	}
	if _, err := Open(shares["avx2"], shares["avx512_vnni"]); err == nil ||
		!strings.Contains(err.Error(), "one has results of the integer kernels avx2, the other results of the integer kernels avx512_vnni; with other kernels") {
		t.Errorf("shares of two processors: %v", err)
	}
}

// Notes of all shares are those of the run.
func TestNotes(t *testing.T) {
	a, b := manifest(), manifest()
	a.Notes, b.Notes = []string{"x"}, []string{"y", "x"}
	dirs := []string{t.TempDir(), t.TempDir()}
	_ = claimed(t, dirs[0], a, nil, Shard{0, 2}).Close()
	_ = claimed(t, dirs[1], b, nil, Shard{1, 2}).Close()
	r, err := Open(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Manifest.Notes, []string{"x", "y"}) {
		t.Errorf("notes %q", r.Manifest.Notes)
	}
	again := claimed(t, dirs[0], manifest(), nil, Shard{0, 2})
	if !slices.Equal(again.Manifest.Notes, []string{"x"}) {
		t.Errorf("gone on with by what says nothing: %q", again.Manifest.Notes)
	}
}

// Faults of files are errors that name them, and nothing else is lost.
func TestFaults(t *testing.T) {
	full := func(t *testing.T) string {
		dir := t.TempDir()
		r := create(t, dir, manifest(), nil)
		if err := fill(t, r, upTo(samples)); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		return dir
	}
	read := func(r *Run) error {
		return Each[record](context.Background(), r, []string{"logits"}, func(*record, [][]float32) error { return nil })
	}
	t.Run("a part cut off", func(t *testing.T) {
		dir := full(t)
		size := int64(1 << 20)
		for _, cut := range []int64{-1, 0, 5, 700} {
			info, err := os.Stat(tablePath(dir, 2))
			if err != nil {
				t.Fatal(err)
			}
			size = min(size, info.Size())
			if cut < 0 {
				cut = size - 1
			}
			if err := os.Truncate(tablePath(dir, 2), cut); err != nil {
				t.Fatal(err)
			}
			r, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Complete(); err == nil || !strings.Contains(err.Error(), "000002.parquet") || !strings.Contains(err.Error(), "84 of 100") {
				t.Errorf("%v", err)
			}
			if got := r.Missing(Shard{}); !slices.Equal(got, upTo(48)[32:]) {
				t.Errorf("missing %v", got)
			}
			r = create(t, dir, manifest(), nil)
			if err := fill(t, r, r.Missing(Shard{})); err != nil {
				t.Fatal(err)
			}
			if got := contents(t, r); !slices.Equal(got, upTo(samples)) {
				t.Errorf("mended: %v", got)
			}
			_ = r.Close()
		}
	})
	t.Run("arrays cut off, gone and changed", func(t *testing.T) {
		for name, damage := range map[string]func(path string) error{
			"cut off": func(p string) error { return os.Truncate(p, 150) },
			"gone":    os.Remove,
			"changed": func(p string) error {
				data, err := os.ReadFile(p)
				if err == nil {
					data[len(data)-5] ^= 1
					err = os.WriteFile(p, data, 0o600)
				}
				return err
			},
		} {
			dir := full(t)
			if err := damage(arrayPath(dir, 1, "logits", 16)); err != nil {
				t.Fatal(err)
			}
			r, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if name == "changed" { // only reading finds it
				if err := read(r); err == nil || !strings.Contains(err.Error(), "000001.logits.16.npy: its values are damaged") {
					t.Errorf("%v", err)
				}
				continue
			}
			if err := r.Complete(); err == nil || !strings.Contains(err.Error(), "000001.logits.16.npy") {
				t.Errorf("%s: %v", name, err)
			}
			r = create(t, dir, manifest(), nil)
			if err := fill(t, r, r.Missing(Shard{})); err != nil || !slices.Equal(contents(t, r), upTo(samples)) {
				t.Errorf("%s, mended: %v", name, err)
			}
		}
	})
	t.Run("bytes changed", func(t *testing.T) {
		dir := full(t)
		data, err := os.ReadFile(tablePath(dir, 0))
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(2, 2))
		for range 300 { // whatever is changed: an error or rows, no panic
			bad := slices.Clone(data)
			for range 1 + rng.IntN(8) {
				bad[rng.IntN(len(bad))] = byte(rng.Uint32())
			}
			if err := os.WriteFile(tablePath(dir, 0), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := Open(dir); err == nil {
				_ = read(r)
			}
		}
	})
	t.Run("part of another run", func(t *testing.T) {
		dir, other := full(t), t.TempDir()
		m := manifest()
		m.Key.Model.SHA256 = "other"
		r := create(t, other, m, nil)
		if err := fill(t, r, upTo(16)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tablePath(other, 0), tablePath(dir, 0)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "belongs to another run") {
			t.Errorf("%v", err)
		}
		if _, err := Open(full(t), other); err == nil || !strings.Contains(err.Error(), "one has a model with the SHA-256 abc") {
			t.Errorf("%v", err)
		}
	})
	t.Run("part under another number", func(t *testing.T) {
		dir := full(t)
		if err := os.Rename(tablePath(dir, 1), tablePath(dir, 0)); err != nil {
			t.Fatal(err)
		}
		r, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Damaged) != 1 || r.Complete() == nil {
			t.Errorf("%v", r.Damaged)
		}
	})
	t.Run("manifest damaged", func(t *testing.T) {
		dir := full(t)
		for _, text := range []string{"", "{", "[]", `{"format": 2}`, `{"format": 1}`} {
			if err := os.WriteFile(filepath.Join(dir, manifestName), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), manifestName) {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
	t.Run("not a run", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := Open(dir); !errors.Is(err, ErrNoRun) {
			t.Errorf("%v", err)
		}
		if r, err := Find(dir); r != nil || err != nil {
			t.Errorf("an empty folder: %v", err)
		}
		if r, err := Find(filepath.Join(dir, "none")); r != nil || err != nil {
			t.Errorf("no folder: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Find(dir); !errors.Is(err, ErrNoRun) {
			t.Errorf("%v", err)
		}
	})
	t.Run("no such folder any more", func(t *testing.T) {
		dir := t.TempDir()
		r := create(t, dir, manifest(), nil)
		if err := os.RemoveAll(filepath.Join(dir, "parts")); err != nil {
			t.Fatal(err)
		}
		if err := fill(t, r, upTo(samples)); err == nil || !strings.Contains(err.Error(), "parts") {
			t.Errorf("%v", err)
		}
	})
}

func TestParseShard(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	slurm := env("SLURM_ARRAY_TASK_ID", "7", "SLURM_ARRAY_TASK_MIN", "1", "SLURM_ARRAY_TASK_STEP", "2", "SLURM_ARRAY_TASK_COUNT", "5")
	for _, c := range []struct {
		text string
		env  func(string) string
		want Shard
		bad  string
	}{
		{"", env(), Shard{}, ""},
		{"0/4", env(), Shard{0, 4}, ""},
		{"3/4", env(), Shard{3, 4}, ""},
		{"4/4", env(), Shard{}, "i from 0 to n-1"},
		{"-1/4", env(), Shard{}, "i from 0 to n-1"},
		{"1", env(), Shard{}, "is not i/n"},
		{"a/b", env(), Shard{}, "is not i/n"},
		{"auto", slurm, Shard{3, 5}, ""},
		{"auto", env("SLURM_ARRAY_TASK_ID", "2", "SLURM_ARRAY_TASK_COUNT", "3"), Shard{2, 3}, ""},
		{"auto", env("SLURM_ARRAY_TASK_ID", "x"), Shard{}, "not a number"},
		{"auto", env("SLURM_ARRAY_TASK_ID", "9", "SLURM_ARRAY_TASK_COUNT", "3"), Shard{}, "shard 9 of 3"},
		{"auto/6", env("JOB_COMPLETION_INDEX", "5"), Shard{5, 6}, ""},
		{"auto", env("JOB_COMPLETION_INDEX", "5", "JOB_COMPLETIONS", "8"), Shard{5, 8}, ""},
		{"auto", env("JOB_COMPLETION_INDEX", "5"), Shard{}, "auto/N"},
		{"auto", env(), Shard{}, "neither"},
	} {
		got, err := ParseShard(c.text, c.env)
		if c.bad == "" && (err != nil || got != c.want) || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%q: %v %v, want %v %q", c.text, got, err, c.want, c.bad)
		}
	}
}

// Every part belongs to one share, for any number of shares.
func TestSharesAreDisjoint(t *testing.T) {
	r := create(t, t.TempDir(), manifest(), nil)
	for n := 1; n < 12; n++ {
		var all []int
		for i := range n {
			s := Shard{i, n}
			m := r.Missing(s)
			if len(m) != r.Share(s) {
				t.Errorf("shard %s has %d samples, %d missing", s, r.Share(s), len(m))
			}
			all = append(all, m...)
		}
		slices.Sort(all)
		if !slices.Equal(all, upTo(samples)) {
			t.Errorf("%d shares: %v", n, all)
		}
	}
}

func FuzzRanges(f *testing.F) {
	for _, s := range []string{"0-31,40", "5", "1,1", "9-1", "-1", "0-99999999999999999999", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseRanges(s)
		if err != nil {
			return
		}
		again, err := parseRanges(ranges(v))
		if err != nil || !slices.Equal(v, again) {
			t.Fatalf("%q: %v, then %v", s, v, again)
		}
	})
}

// TestPartSize: parts hold 16 to 1024 of the samples that are selected, some 32 of them where
// that is between.
func TestPartSize(t *testing.T) {
	for _, c := range []struct{ selected, n, size int }{
		{100, 100, 16}, {1000, 1000, 32}, {50000, 50000, 1024}, {1 << 20, 1 << 20, 1024},
		{40, 2500, 1000}, {600, 2500, 133}, {1000, 50000, 1600}, {1, 1 << 20, 1 << 24}, {0, 10, 160}, {0, 0, 1},
	} {
		if got := PartSize(c.selected, c.n); got != c.size {
			t.Errorf("PartSize(%d, %d) is %d, want %d", c.selected, c.n, got, c.size)
		}
	}
}
