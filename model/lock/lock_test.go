package lock

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cutmixeval "cutmix-eval"
	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/pin"
	"cutmix-eval/models"
)

// The project's own file: readable, in canonical form, and true about the
// embedded models.
func TestProjectLock(t *testing.T) {
	l, err := Parse(cutmixeval.ModelsLock)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[Kind]int{}
	for _, e := range l.Models {
		kinds[e.Kind]++
		if e.Licence == "" || e.Source == "" || len(e.Published) == 0 || len(e.Recipe) == 0 {
			t.Errorf("%s lacks licence, source, published numbers or recipe", e.Name)
		}
		for _, p := range e.Published {
			if p.Value <= 0 || p.Value >= 1 || p.Source == "" {
				t.Errorf("%s: %+v", e.Name, p)
			}
		}
	}
	if kinds[Convert] != 8 || kinds[Embedded] != 2 || kinds[Download] < 3 {
		t.Errorf("%v", kinds)
	}
	for _, name := range models.Names() {
		data, _ := models.Bytes(name)
		sum := sha256.Sum256(data)
		if e, ok := l.Find(name); !ok || e.SHA256 != hex.EncodeToString(sum[:]) || e.Size != int64(len(data)) {
			t.Errorf("embedded model %s is not what models.lock pins", name)
		}
	}
	again, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if l2, err := Parse(again); err != nil || len(l2.Models) != len(l.Models) {
		t.Errorf("%v", err)
	}
	if twice, _ := l.Encode(); !bytes.Equal(again, twice) {
		t.Error("encoding is not deterministic")
	}
}

func TestParseErrors(t *testing.T) {
	const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, text := range map[string]string{
		"no JSON":      "hello",
		"version":      `{"version": 2, "models": []}`,
		"name":         `{"version": 1, "models": [{"name": "../x", "kind": "convert"}]}`,
		"kind":         `{"version": 1, "models": [{"name": "x", "kind": "magic"}]}`,
		"no checksum":  `{"version": 1, "models": [{"name": "x", "kind": "download", "url": "https://h/x"}]}`,
		"no URL":       `{"version": 1, "models": [{"name": "x", "kind": "download", "sha256": "` + sum + `", "size": 3}]}`,
		"bad checksum": `{"version": 1, "models": [{"name": "x", "kind": "embedded", "sha256": "abc", "size": 3}]}`,
		"twice":        `{"version": 1, "models": [{"name": "x", "kind": "convert"}, {"name": "x", "kind": "convert"}]}`,
		"field":        `{"version": 1, "models": [{"name": "x", "kind": "convert", "md5": "1"}]}`,
		"behind":       `{"version": 1, "models": []} and more`,
		"recipe":       `{"version": 1, "models": [{"name": "x", "kind": "convert", "recipe": "best"}]}`,
		"invented sum": `{"version": 1, "models": [{"name": "x", "kind": "convert", "sha256": "` + sum + `"}]}`,
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMergeAndWrite(t *testing.T) {
	base := &Lock{Models: []Entry{{Name: "a", Kind: Convert, About: "old"}, {Name: "b", Kind: Convert}}}
	over := &Lock{}
	if err := over.Put(Entry{Name: "a", Kind: Local, File: "/x", SHA256: strings.Repeat("0", 64), Size: 1}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "deep", "models.lock")
	if err := over.Write(path); err != nil {
		t.Fatal(err)
	}
	read, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	m := Merge(base, read)
	if len(m.Models) != 2 || m.Models[0].Kind != Local || m.Models[1].Name != "b" {
		t.Errorf("%+v", m.Models)
	}
	errs := make(chan error, 8)
	for i := range cap(errs) { // none may be lost
		go func() {
			errs <- Add(context.Background(), path, Entry{Name: string(rune('k' + i)), Kind: Local, File: "/x", SHA256: strings.Repeat("1", 64), Size: 1})
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if l, err := Read(path); err != nil || len(l.Models) != 9 {
		t.Errorf("%d entries of 9: %v", len(l.Models), err)
	}
	if l, err := Read(filepath.Join(t.TempDir(), "absent")); err != nil || len(l.Models) != 0 {
		t.Errorf("%v", err)
	}
	if err := over.Put(Entry{Name: "bad name", Kind: Convert}); err == nil {
		t.Error("a bad name: no error")
	}
}

// server sends body, perhaps less or other bytes, and can break off.
type server struct {
	body      []byte
	breakOff  int // close the connection after so many bytes
	noRange   bool
	requests  int
	sentRange string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests++
	s.sentRange = r.Header.Get("Range")
	if s.breakOff > 0 {
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(s.body[:s.breakOff])
		panic(http.ErrAbortHandler)
	}
	if s.noRange {
		_, _ = w.Write(s.body)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.body))
}

func TestFetch(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 50000)
	sum := sha256.Sum256(body)
	tampered := bytes.Clone(body)
	tampered[1234] ^= 1
	setup := func(s *server) (Entry, string) {
		ts := httptest.NewServer(s)
		t.Cleanup(ts.Close)
		return Entry{Name: "m", Kind: Download, URL: ts.URL + "/m.onnx", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(body))}, t.TempDir()
	}
	files := func(dir string) (out []string) {
		_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != ".lock" {
				out = append(out, filepath.Base(p))
			}
			return nil
		})
		return out
	}
	ctx := context.Background()

	t.Run("whole", func(t *testing.T) {
		s := &server{body: body}
		e, dir := setup(s)
		last := int64(0)
		path, err := e.Fetch(ctx, dir, func(done, total int64) {
			if done < last || total != e.Size {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last = done
		})
		if err != nil || last != e.Size {
			t.Fatalf("%v, progress ended at %d", err, last)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, body) {
			t.Error("other contents")
		}
		if _, err := e.Fetch(ctx, dir, nil); err != nil || s.requests != 1 {
			t.Errorf("%v; a cached model was fetched again (%d requests)", err, s.requests)
		}
		// Damage in the cache is found and mended.
		if err := os.WriteFile(path, tampered, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Fetch(ctx, dir, nil); err != nil || s.requests != 2 {
			t.Errorf("%v, %d requests", err, s.requests)
		}
	})
	for name, bad := range map[string][]byte{"truncated": body[:400000], "tampered": tampered, "too long": append(bytes.Clone(body), 'x'), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			e, dir := setup(&server{body: bad})
			_, err := e.Fetch(ctx, dir, nil)
			var mismatch *pin.MismatchError
			if !errors.As(err, &mismatch) {
				t.Errorf("%v, want a mismatch", err)
			}
			if left := files(dir); len(left) > 0 {
				t.Errorf("left in the cache: %v", left)
			}
		})
	}
	for _, noRange := range []bool{false, true} {
		s := &server{body: body, breakOff: 123456}
		e, dir := setup(s)
		_, err := e.Fetch(ctx, dir, nil)
		var mismatch *pin.MismatchError
		if err == nil || errors.As(err, &mismatch) || !strings.Contains(err.Error(), "run it again") {
			t.Fatalf("broken off: %v", err)
		}
		s.breakOff, s.noRange = 0, noRange
		if _, err := e.Fetch(ctx, dir, nil); err != nil {
			t.Errorf("resumed: %v", err)
		}
		if s.sentRange != "bytes=123456-" {
			t.Errorf("resumed with range %q", s.sentRange)
		}
	}
	t.Run("refused", func(t *testing.T) {
		e, dir := setup(&server{body: body})
		t.Setenv(cache.EnvOffline, "1")
		if _, err := e.Fetch(ctx, dir, nil); err == nil || !strings.Contains(err.Error(), cache.EnvOffline) {
			t.Errorf("%v", err)
		}
	})
	t.Run("not found", func(t *testing.T) {
		ts := httptest.NewServer(http.NotFoundHandler())
		defer ts.Close()
		e, dir := setup(&server{})
		e.URL = ts.URL
		if _, err := e.Fetch(ctx, dir, nil); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("%v", err)
		}
	})
	t.Run("stalled", func(t *testing.T) {
		hang := make(chan struct{})
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "500000")
			_, _ = w.Write(body[:1000])
			w.(http.Flusher).Flush()
			<-hang
		}))
		defer ts.Close()
		defer close(hang)
		e, dir := setup(&server{})
		e.URL = ts.URL
		if _, err := e.fetch(ctx, dir, 100*time.Millisecond, nil); !errors.Is(err, pin.ErrStalled) || !strings.Contains(err.Error(), "1000 of 500000") {
			t.Errorf("%v", err)
		}
	})
	t.Run("two at once", func(t *testing.T) {
		e, dir := setup(&server{body: body})
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() { _, err := e.Fetch(ctx, dir, nil); errs <- err }()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		e, dir := setup(&server{body: body})
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := e.Fetch(ctx, dir, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(cutmixeval.ModelsLock)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse(data)
		if err != nil {
			return
		}
		again, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(again); err != nil {
			t.Fatal(err)
		}
	})
}
