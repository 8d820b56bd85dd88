package datasets

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"cutmix-eval/imageproc"

	"github.com/parquet-go/parquet-go"
)

// Bounds of what is kept unpacked: pages of images that several goroutines, who read rows in
// ascending order, need at about the same time.
const (
	keptBytes   = 64 << 20
	keptPages   = 3 // whatever their size
	keptCursors = 3
)

// parquetSource reads pictures from a column. Pages are unpacked one after the other, and the
// last ones are kept; rows in about ascending order are read at the speed of the file. A row far
// behind the last ones begins its row group anew, unless the file has an index of pages.
type parquetSource struct {
	shards []*shard
	rows   int
	groups []rowGroup // by first row
	keep   int        // bytes

	mu    sync.Mutex
	pages []*imagePage // the latest used last
	bytes int

	unpacking sync.Mutex // held while a page is read; pages that are kept are had meanwhile
	cursors   []*cursor  // the latest used last
}

// rowGroup is a group's place in all rows.
type rowGroup struct {
	shard       *shard
	index       int
	first, rows int
}

// imagePage is the pictures of some rows in sequence. It is not changed.
type imagePage struct {
	first int
	rows  [][]byte // nil for a row without a picture
	bytes int
}

// cursor is a row group that is being read.
type cursor struct {
	group *rowGroup
	pages parquet.Pages
	index parquet.OffsetIndex // nil without one
	next  int                 // row
}

// start lays out the rows of the shards.
func (s *parquetSource) start() {
	for _, sh := range s.shards {
		for i, n := range sh.rows {
			s.groups = append(s.groups, rowGroup{sh, i, s.rows, n})
			s.rows += n
		}
	}
}

func (s *parquetSource) read(at int, buf []byte) ([]byte, *imageproc.Image, error) {
	p, err := s.page(at)
	if err != nil {
		return buf, nil, err
	}
	data := p.rows[at-p.first]
	if data == nil {
		return buf, nil, errors.New("the row has no bytes of a picture (it may name a file that the data set does not hold)")
	}
	return append(buf[:0], data...), nil, nil
}

// page is the page with a row.
func (s *parquetSource) page(at int) (*imagePage, error) {
	if p := s.kept(at); p != nil {
		return p, nil
	}
	s.unpacking.Lock()
	defer s.unpacking.Unlock()
	if p := s.kept(at); p != nil { // unpacked by whoever had the lock
		return p, nil
	}
	p, err := s.unpack(at)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages = append(s.pages, p)
	s.bytes += p.bytes
	for len(s.pages) > keptPages && s.bytes > s.keep {
		s.bytes -= s.pages[0].bytes
		s.pages = slices.Delete(s.pages, 0, 1)
	}
	return p, nil
}

// kept is the page with a row, nil where it is not kept.
func (s *parquetSource) kept(at int) *imagePage {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.pages, func(p *imagePage) bool { return p.first <= at && at < p.first+len(p.rows) })
	if i < 0 {
		return nil
	}
	p := s.pages[i]
	s.pages = append(slices.Delete(s.pages, i, i+1), p)
	return p
}

// unpack reads pages up to the one with a row.
func (s *parquetSource) unpack(at int) (p *imagePage, err error) {
	var c *cursor
	defer func() {
		if err != nil && c != nil { // where it is, is not known any more
			s.cursors = slices.DeleteFunc(s.cursors, func(other *cursor) bool { return other == c })
			_ = c.pages.Close()
		}
	}()
	defer damaged(&err)
	if c, err = s.cursor(at); err != nil {
		return nil, err
	}
	for {
		page, err := c.pages.ReadPage()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the row group ends before its last row")
			}
			return nil, fmt.Errorf("reading the Parquet file: %w", err)
		}
		first, n := c.next, int(page.NumRows())
		c.next += n
		if n <= 0 || c.next > c.group.first+c.group.rows {
			parquet.Release(page)
			return nil, errors.New("reading the Parquet file: its pages have not the rows of their group")
		}
		if at >= c.next {
			parquet.Release(page)
			continue
		}
		return pictures(page, first, n)
	}
}

// pictures are a page's values, in its own memory: the page is never released, so that the garbage
// collector frees it when nobody reads it any more. Values of a dictionary, which pages share, are
// copied.
func pictures(page parquet.Page, first, n int) (*imagePage, error) {
	p := &imagePage{first: first, rows: make([][]byte, 0, min(n, 1<<16))}
	shared := page.Dictionary() != nil
	var buf [64]parquet.Value
	values := page.Values()
	for {
		k, err := values.ReadValues(buf[:])
		for _, v := range buf[:k] {
			if v.IsNull() {
				p.rows = append(p.rows, nil)
				continue
			}
			data := v.ByteArray()
			if data = data[:len(data):len(data)]; shared {
				data = append([]byte{}, data...)
			}
			p.rows = append(p.rows, data)
			p.bytes += len(data)
		}
		switch {
		case errors.Is(err, io.EOF) && len(p.rows) == n:
			return p, nil
		case err == nil && k > 0 && len(p.rows) <= n:
		case err == nil || errors.Is(err, io.EOF):
			return nil, errors.New("reading the Parquet file: a page has not the values that it says")
		default:
			return nil, fmt.Errorf("reading the Parquet file: %w", err)
		}
	}
}

// group is the row group that a row lies in.
func (s *parquetSource) group(at int) (*rowGroup, bool) {
	g, ok := slices.BinarySearchFunc(s.groups, at, func(g rowGroup, at int) int {
		if at < g.first {
			return 1
		}
		return cmp.Compare(0, max(at-g.first-g.rows+1, 0))
	})
	if !ok {
		return nil, false
	}
	return &s.groups[g], true
}

// cursor is one that stands before a row, in its row group.
func (s *parquetSource) cursor(at int) (*cursor, error) {
	group, ok := s.group(at)
	if !ok {
		return nil, fmt.Errorf("there is no row %d", at)
	}
	i := slices.IndexFunc(s.cursors, func(c *cursor) bool { return c.group == group })
	var c *cursor
	if i >= 0 {
		c = s.cursors[i]
		s.cursors = append(slices.Delete(s.cursors, i, i+1), c)
	} else {
		chunk := group.shard.t.RowGroups()[group.index].ColumnChunks()[group.shard.image]
		c = &cursor{group: group, next: group.first}
		if index, err := chunk.OffsetIndex(); err == nil && index != nil && index.NumPages() > 0 {
			c.index = index
		}
		c.pages = chunk.Pages()
		s.cursors = append(s.cursors, c)
		if len(s.cursors) > keptCursors {
			_ = s.cursors[0].pages.Close()
			s.cursors = slices.Delete(s.cursors, 0, 1)
		}
	}
	row := 0 // where to go, within the group
	if c.index != nil {
		for k := range c.index.NumPages() {
			if first := int(c.index.FirstRowIndex(k)); first <= at-group.first {
				row = max(row, first)
			}
		}
	}
	if at < c.next || row > c.next-group.first {
		if err := c.pages.SeekToRow(int64(row)); err != nil {
			return nil, fmt.Errorf("reading the Parquet file: %w", err)
		}
		c.next = group.first + row
	}
	return c, nil
}

func (s *parquetSource) changed(at int) time.Time {
	if g, ok := s.group(at); ok {
		return g.shard.f.at
	}
	return time.Time{}
}

func (s *parquetSource) close() error {
	s.unpacking.Lock()
	defer s.unpacking.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, c := range s.cursors {
		err = errors.Join(err, c.pages.Close())
	}
	s.cursors, s.pages = nil, nil
	for _, sh := range s.shards {
		err = errors.Join(err, sh.f.Close())
	}
	return err
}
