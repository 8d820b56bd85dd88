package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// noLeak fails the test if it leaves goroutines behind.
func noLeak(t *testing.T) {
	t.Helper()
	before := goruntime.NumGoroutine()
	t.Cleanup(func() {
		for range 100 { // those that have just ended may still be counted
			if goruntime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", goruntime.NumGoroutine(), before, buf[:goruntime.Stack(buf, true)])
	})
}

// squares is work that ends out of order and fails at the item bad.
func squares(bad int, err error) func() func(int) (int, error) {
	return func() func(int) (int, error) {
		return func(i int) (int, error) {
			if i%3 == 1 {
				time.Sleep(time.Duration(i%5) * 200 * time.Microsecond)
			}
			if i == bad {
				return 0, err
			}
			return i * i, nil
		}
	}
}

func TestOrdered(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		for _, n := range []int{0, 1, 5, 300} {
			t.Run(fmt.Sprintf("%d items, %d workers", n, workers), func(t *testing.T) {
				noLeak(t)
				var got, want []int
				o := NewOrdered(t.Context(), workers, squares(-1, nil), func(v int) error { got = append(got, v); return nil })
				for i := range n {
					if err := o.Put(i); err != nil {
						t.Fatal(err)
					}
					want = append(want, i*i)
				}
				if err := o.Close(); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("results (-want +got):\n%s", d)
				}
			})
		}
	}
}

// Each worker has its own state, made once.
func TestOrderedWorkers(t *testing.T) {
	var made atomic.Int32
	o := NewOrdered(t.Context(), 3, func() func(int) (int, error) {
		made.Add(1)
		return func(i int) (int, error) { return i, nil }
	}, func(int) error { return nil })
	for i := range 50 {
		if err := o.Put(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Close(); err != nil || made.Load() != 3 {
		t.Errorf("work was called %d times for 3 workers: %v", made.Load(), err)
	}
}

func TestOrderedErrors(t *testing.T) {
	boom := errors.New("boom")
	const bad, n = 40, 1000
	for name, c := range map[string]struct {
		work func() func(int) (int, error)
		out  func(v int) error
	}{
		"work fails": {squares(bad, boom), func(int) error { return nil }},
		"out fails": {squares(-1, nil), func(v int) error {
			if v == bad*bad {
				return boom
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			var got, want []int
			o := NewOrdered(t.Context(), 4, c.work, func(v int) error {
				if err := c.out(v); err != nil {
					return err
				}
				got = append(got, v)
				return nil
			})
			var put error
			for i := 0; i < n && put == nil; i++ {
				put = o.Put(i)
			}
			if closed := o.Close(); !errors.Is(put, boom) || !errors.Is(closed, boom) {
				t.Errorf("Put %v, Close %v; want %v", put, closed, boom)
			}
			for i := range bad {
				want = append(want, i*i)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("results before the error (-want +got):\n%s", d)
			}
		})
	}
	t.Run("only Close sees it", func(t *testing.T) {
		noLeak(t)
		o := NewOrdered(t.Context(), 2, squares(0, boom), func(int) error { return nil })
		if err := o.Put(0); err != nil {
			t.Fatal(err)
		}
		if err := o.Close(); !errors.Is(err, boom) {
			t.Errorf("Close: %v", err)
		}
	})
	t.Run("of several, the first in order", func(t *testing.T) {
		noLeak(t)
		o := NewOrdered(t.Context(), 2, func() func(int) (int, error) {
			return func(i int) (int, error) {
				time.Sleep(time.Duration(2-i) * 10 * time.Millisecond) // item 1 fails before item 0
				return 0, fmt.Errorf("item %d", i)
			}
		}, func(int) error { return nil })
		for i := range 2 {
			if err := o.Put(i); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Close(); err == nil || err.Error() != "item 0" {
			t.Errorf("Close: %v, want that of item 0", err)
		}
	})
}

// When the context ends, Put returns; what was put before is handed out.
func TestOrderedContextEnds(t *testing.T) {
	noLeak(t)
	ctx, cancel := context.WithCancel(t.Context())
	var got []int
	release := make(chan struct{})
	o := NewOrdered(ctx, 2, func() func(int) (int, error) {
		return func(i int) (int, error) { <-release; return i, nil }
	}, func(v int) error { got = append(got, v); return nil })
	time.AfterFunc(20*time.Millisecond, cancel)
	n, err := 0, error(nil)
	for ; err == nil; n++ { // waits when the queue is full: nothing is done before release
		err = o.Put(n)
	}
	n-- // the last was refused
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if err := o.Put(n); !errors.Is(err, context.Canceled) {
		t.Errorf("Put again: %v", err)
	}
	close(release)
	if err := o.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if len(got) != n || !slices.IsSorted(got) {
		t.Errorf("results %v of %d items", got, n)
	}
}

// A panic of work must end the program with its message, not vanish or hang. The
// test runs itself again as a program that panics.
func TestOrderedPanics(t *testing.T) {
	if os.Getenv("ORDERED_PANICS") != "" {
		o := NewOrdered(t.Context(), 2, func() func(int) (int, error) {
			return func(int) (int, error) { panic("work is broken") }
		}, func(int) error { return nil })
		_ = o.Put(1)
		_ = o.Close()
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOrderedPanics$")
	cmd.Env = append(os.Environ(), "ORDERED_PANICS=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), "work is broken") {
		t.Errorf("%v:\n%s", err, out)
	}
}
