package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/pin"
)

// Path is where a downloaded model lies in the cache directory dir.
func (e Entry) Path(dir string) string {
	return filepath.Join(dir, "models", e.SHA256[:16]+"-"+e.Name+".onnx")
}

// Fetch downloads a model into the cache directory dir, unless it is there, and
// returns its path. An interrupted download is taken up where it ended. A file
// of another size or checksum than the pinned one is a *pin.MismatchError, and
// nothing of it stays. progress is told the bytes so far and in all; it may be
// nil.
func (e Entry) Fetch(ctx context.Context, dir string, progress func(done, total int64)) (string, error) {
	if e.Kind != Download {
		return "", fmt.Errorf("model %q is %s; there is nothing to download", e.Name, e.Kind)
	}
	path := e.Path(dir)
	err := pin.Check(path, e.SHA256)
	if err == nil {
		return path, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(path); err != nil { // damaged since: fetch it anew
			return "", err
		}
	}
	if cache.Offline() {
		return "", fmt.Errorf("fetching model %q: %s forbids downloads; unset it, or get %s elsewhere and add it with models add", e.Name, cache.EnvOffline, e.URL)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	part := path + ".part"
	if err := e.download(ctx, part, progress); err != nil {
		return "", fmt.Errorf("fetching model %q from %s: %w", e.Name, e.URL, err)
	}
	if err := pin.Check(part, e.SHA256); err != nil {
		return "", errors.Join(err, os.Remove(part))
	}
	return path, os.Rename(part, path)
}

// download completes the file part.
func (e Entry) download(ctx context.Context, part string, progress func(done, total int64)) error {
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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL, nil)
	if err != nil {
		return err
	}
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
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
	w := &counter{w: f, done: have, total: e.Size, tell: progress}
	n, err := io.Copy(w, io.LimitReader(resp.Body, e.Size-have+1))
	if err != nil {
		return fmt.Errorf("the connection ended after %d of %d bytes (%w); run it again to go on from there", have+n, e.Size, err)
	}
	if have+n != e.Size {
		// The server says that this is all: it is not the pinned file.
		got := fmt.Sprintf("of %d bytes", have+n)
		if have+n > e.Size {
			got = fmt.Sprintf("of more than %d bytes", e.Size)
		}
		return errors.Join(&pin.MismatchError{File: "what " + e.URL + " sends", Want: fmt.Sprintf("of %d bytes", e.Size), Got: got}, os.Remove(part))
	}
	return nil
}

type counter struct {
	w           io.Writer
	done, total int64
	tell        func(done, total int64)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.done += int64(n)
	if c.tell != nil {
		c.tell(min(c.done, c.total), c.total)
	}
	return n, err
}
