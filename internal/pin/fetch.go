package pin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/filelock"
)

// File is a file to download: what it is called for people, where it is, and what it must
// be.
type File struct {
	Name, URL, SHA256 string
	Size              int64
}

// Fetch downloads the file to path, unless it is there. An interrupted download is taken up
// where it ended; it is given up when nothing has come for as long as patience. A file of
// another size or checksum than the pinned one is a *MismatchError, and nothing of it
// stays. progress is called with the bytes so far and in all; it may be nil.
func (e File) Fetch(ctx context.Context, path string, patience time.Duration, progress func(done, total int64)) error {
	if Check(path, e.SHA256) == nil {
		return nil
	}
	if cache.Offline() {
		return fmt.Errorf("fetching %s: %s forbids downloads; unset it, or get %s elsewhere", e.Name, cache.EnvOffline, e.URL)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// One process at a time: two would write into the same unfinished file.
	release, err := filelock.Acquire(ctx, filepath.Join(dir, ".lock"), 2*time.Second)
	if err != nil {
		return fmt.Errorf("fetching %s: %w", e.Name, err)
	}
	defer release()
	switch err := Check(path, e.SHA256); {
	case err == nil: // another process was quicker
		return nil
	case !errors.Is(err, fs.ErrNotExist): // damaged since: fetch it anew
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	part := path + ".part"
	if err := e.download(ctx, part, patience, progress); err != nil {
		return fmt.Errorf("fetching %s from %s: %w", e.Name, e.URL, err)
	}
	if err := Check(part, e.SHA256); err != nil {
		if gone := os.Remove(part); gone != nil {
			return fmt.Errorf("%w; it could not be deleted: %v", err, gone)
		}
		return err
	}
	return os.Rename(part, path)
}

// download completes the file part.
func (e File) download(ctx context.Context, part string, patience time.Duration, progress func(done, total int64)) error {
	f, err := os.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have >= e.Size { // left by something else; start over
		have = 0
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(patience, func() { cancel(ErrStalled) })
	defer idle.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL, nil)
	if err != nil {
		return err
	}
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return stalledOr(ctx, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK:
		have = 0 // the server sends all of it
	default:
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	if err := f.Truncate(have); err != nil {
		return err
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return err
	}
	// One byte more than pinned tells a file that is too long.
	w := &counter{w: f, done: have, total: e.Size, tell: func(done, total int64) {
		idle.Reset(patience)
		if progress != nil {
			progress(done, total)
		}
	}}
	n, err := io.Copy(w, io.LimitReader(resp.Body, e.Size-have+1))
	switch {
	case w.err != nil:
		return fmt.Errorf("writing %s: %w", part, w.err)
	case err != nil:
		return fmt.Errorf("the connection ended after %d of %d bytes (%w); run it again to go on from there", have+n, e.Size, stalledOr(ctx, err))
	}
	if have+n != e.Size {
		// The server says that this is all: it is not the pinned file.
		got := fmt.Sprintf("of %d bytes", have+n)
		if have+n > e.Size {
			got = fmt.Sprintf("of more than %d bytes", e.Size)
		}
		if err := os.Remove(part); err != nil {
			return err
		}
		return &MismatchError{File: "what " + e.URL + " sends", Want: fmt.Sprintf("of %d bytes", e.Size), Got: got}
	}
	return nil
}

// ErrStalled is wrapped where a download was given up.
var ErrStalled = errors.New("nothing came for too long")

// stalledOr is ErrStalled where that ended ctx, otherwise err.
func stalledOr(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), ErrStalled) {
		return ErrStalled
	}
	return err
}

type counter struct {
	w           io.Writer
	done, total int64
	tell        func(done, total int64)
	err         error // of writing, as opposed to reading
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.done += int64(n)
	c.tell(min(c.done, c.total), c.total)
	c.err = err
	return n, err
}
