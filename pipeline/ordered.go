package pipeline

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Ordered works on items with several goroutines and hands out the results in
// the order of the items. Put and Close must be called from one goroutine.
type Ordered[I, O any] struct {
	ctx    context.Context // the caller's
	failed context.Context // ends with the first error of work or out
	group  *errgroup.Group
	todo   chan *task[I, O]
	order  chan *task[I, O]
}

type task[I, O any] struct {
	item I
	out  O
	err  error
	done chan struct{}
}

// NewOrdered starts the goroutines. Each of the workers calls work once and
// then what it returned for one item after another; one goroutine calls out
// with the results. The first error, in the order of the items, stops the work:
// all results before it were handed out, none behind it is. An end of ctx stops
// only Put: what was put before it is finished. A panic in work or out ends the
// program, as in any goroutine.
func NewOrdered[I, O any](ctx context.Context, workers int, work func() func(I) (O, error), out func(O) error) *Ordered[I, O] {
	workers = max(workers, 1)
	waiting := 4 * workers // so that a slow item does not stop the others soon
	o := &Ordered[I, O]{ctx: ctx, order: make(chan *task[I, O], waiting)}
	o.todo = make(chan *task[I, O], waiting+1) // never full: beside those in order, only the one that is awaited can be in it
	o.group, o.failed = errgroup.WithContext(context.WithoutCancel(ctx))
	for range workers {
		o.group.Go(func() error {
			do := work()
			for t := range o.todo {
				if o.failed.Err() == nil {
					t.out, t.err = do(t.item)
				}
				close(t.done)
			}
			return nil
		})
	}
	o.group.Go(func() error {
		for t := range o.order {
			<-t.done
			if t.err != nil {
				return t.err
			}
			if err := out(t.out); err != nil {
				return err
			}
		}
		return nil
	})
	return o
}

// Put adds an item; it waits while many are under way. It returns the first
// error of work or out, or ctx's; the item is then left out.
func (o *Ordered[I, O]) Put(item I) error {
	if o.failed.Err() != nil {
		return context.Cause(o.failed)
	}
	if err := o.ctx.Err(); err != nil {
		return err
	}
	t := &task[I, O]{item: item, done: make(chan struct{})}
	select {
	case o.order <- t:
		o.todo <- t
		return nil
	case <-o.failed.Done():
		return context.Cause(o.failed)
	case <-o.ctx.Done():
		return o.ctx.Err()
	}
}

// Close waits until the items that were put are done and their results handed
// out, and returns the first error of work or out. It must be called once.
func (o *Ordered[I, O]) Close() error {
	close(o.order)
	close(o.todo)
	return o.group.Wait()
}
