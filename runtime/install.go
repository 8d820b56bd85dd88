package runtime

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"

	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/pin"
)

// The pinned release: the npm package that carries Microsoft's library for
// every platform. The integrity value is the one the package's registry entry
// states; the checksums of the files were taken from the package it names.
const (
	PinnedVersion    = "1.30.0"
	pinnedPackage    = "onnxruntime-node"
	pinnedIntegrity  = "twhs1C2C/BFkz1yc5OY0KIU2GUq6DURO7hD4bx5Q2Qy3nAMJwRXW8xU3NVczE29VA9lolLOYepoD8fjTGOfIqw=="
	pinnedPackageLen = 113507888
)

type pinnedFile struct{ name, sha256 string }

// pinned lists, by GOOS/GOARCH, the folder in the package and the files that
// are needed from it.
var pinned = map[string]struct {
	dir   string
	files []pinnedFile
}{
	"linux/amd64":  {"linux/x64", []pinnedFile{{"libonnxruntime.so.1", "ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23"}}},
	"linux/arm64":  {"linux/arm64", []pinnedFile{{"libonnxruntime.so.1", "1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76"}}},
	"darwin/arm64": {"darwin/arm64", []pinnedFile{{"libonnxruntime.1.dylib", "685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d"}}},
	"windows/amd64": {"win32/x64", []pinnedFile{
		{"onnxruntime.dll", "508c362f5673483dd3a086379c392795b2e42d10d5e6f3f90ebd7ac21c97af67"},
		{"DirectML.dll", "234e8898778cdec88d3cb0539508273494082812c968699f3de665a018971625"},
		{"dxcompiler.dll", "593d42df78c7f9cbd97c1374af107cfe20985759f98b77afc1448fe41ee3cc76"},
		{"dxil.dll", "cf9a3981263f8ec30c9905d136eeaf4b4573209c602198671b958ec86905dea8"},
	}},
	"windows/arm64": {"win32/arm64", []pinnedFile{
		{"onnxruntime.dll", "6c3a2abf5c6aca11c48a0d338a91af309f2266f25ce2e4084e6a87bbcb0fbfd0"},
		{"DirectML.dll", "aaf72a9d55aa123e0708d957d30dd4fbeb7a2e335ec6257ed5ff4261a402b9ee"},
		{"dxcompiler.dll", "442a995492579e1048cf1f05a86ab00f476c46b7f9d0996e588884040a543bbe"},
		{"dxil.dll", "859b6d638c5ca3df39e9cab2a602cb0f63d0e63d750f84bb2a9ec9031319b73e"},
	}},
}

func installDir() (string, error) {
	dir, err := cache.Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "onnxruntime", PinnedVersion+"-"+goruntime.GOOS+"-"+goruntime.GOARCH), nil
}

// advice ends errors about a library that cannot be installed.
const advice = "install ONNX Runtime 1.24 or newer and point --ort-lib or " + EnvLibrary + " to its library file or folder"

// Install downloads the pinned library with npm, under the user's own npm
// settings, verifies it and puts it into the user cache. It can be run again
// and by several processes at once. A package or file of other contents is a
// *pin.MismatchError, and nothing of it stays.
func Install(ctx context.Context, progress Progress) (Candidate, error) {
	platform := goruntime.GOOS + "/" + goruntime.GOARCH
	p, ok := pinned[platform]
	if !ok {
		return Candidate{}, fmt.Errorf("%w, and none can be installed for %s: %s", ErrNoLibrary, platform, advice)
	}
	if cache.Offline() {
		return Candidate{}, fmt.Errorf("%w, and %s forbids downloading one: unset it, or %s", ErrNoLibrary, cache.EnvOffline, advice)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return Candidate{}, fmt.Errorf("%w, and installing it needs npm, which was not found: install Node.js, or %s", ErrNoLibrary, advice)
	}
	dir, err := installDir()
	if err != nil {
		return Candidate{}, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return Candidate{}, fmt.Errorf("installing ONNX Runtime: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".install-")
	if err != nil {
		return Candidate{}, fmt.Errorf("installing ONNX Runtime: %w", err)
	}
	defer os.RemoveAll(tmp)

	tgz, err := download(ctx, npm, tmp, progress)
	if err != nil {
		return Candidate{}, fmt.Errorf("downloading ONNX Runtime %s: %w; or %s", PinnedVersion, err, advice)
	}
	fresh := filepath.Join(tmp, "library")
	if err := unpack(tgz, pinnedIntegrity, p.dir, p.files, fresh); err != nil {
		return Candidate{}, fmt.Errorf("installing ONNX Runtime %s: %w", PinnedVersion, err)
	}
	if err := replace(fresh, dir); err != nil {
		return Candidate{}, fmt.Errorf("installing ONNX Runtime %s: %w", PinnedVersion, err)
	}
	c := inspect(place{source: "user cache", path: dir})
	if !c.Usable() {
		return c, fmt.Errorf("installed ONNX Runtime %s cannot be used: %s", c.Path, c.Problem)
	}
	return c, nil
}

// replace moves the folder fresh to dir, in place of what another process may
// have put there meanwhile.
func replace(fresh, dir string) error {
	if err := os.Rename(fresh, dir); err == nil {
		return nil
	}
	old := fresh + ".old"
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(fresh, dir)
}

// download runs npm pack in tmp and returns the package file.
func download(ctx context.Context, npm, tmp string, progress Progress) (string, error) {
	cmd := exec.CommandContext(ctx, npm, "pack", pinnedPackage+"@"+PinnedVersion,
		"--pack-destination", tmp, "--cache", filepath.Join(tmp, "npm"), "--loglevel", "error")
	cmd.Dir = tmp
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			if err != nil {
				return "", fmt.Errorf("npm pack %s: %w: %s", pinnedPackage, err, lastLine(stderr.String()))
			}
			if progress != nil {
				progress(pinnedPackageLen, pinnedPackageLen)
			}
			return filepath.Join(tmp, pinnedPackage+"-"+PinnedVersion+".tgz"), nil
		case <-tick.C:
			if progress != nil {
				progress(min(size(tmp), pinnedPackageLen), pinnedPackageLen)
			}
		}
	}
}

// size is the size of the largest file under dir: the package as it arrives.
func size(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n = max(n, info.Size())
			}
		}
		return nil // files come and go while npm works
	})
	return n
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for _, l := range lines {
		if strings.Contains(l, "npm error") && !strings.Contains(l, "npm error code") {
			return l
		}
	}
	return lines[len(lines)-1]
}

// unpack verifies the package and writes the files of its folder dir to out.
func unpack(tgz, integrity, dir string, files []pinnedFile, out string) error {
	f, err := os.Open(tgz)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != integrity {
		return &pin.MismatchError{File: "the package " + filepath.Base(tgz), Want: "sha512-" + integrity, Got: "sha512-" + got}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	gz, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	want := map[string]pinnedFile{}
	for _, p := range files {
		want["package/bin/napi-v6/"+dir+"/"+p.name] = p
	}
	tr := tar.NewReader(gz)
	for len(want) > 0 {
		hd, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the package lacks %d of the files it should hold", len(want))
		}
		if err != nil {
			return err
		}
		p, ok := want[hd.Name]
		if !ok {
			continue
		}
		delete(want, hd.Name)
		path := filepath.Join(out, p.name)
		if err := write(path, tr); err != nil {
			return err
		}
		if err := pin.Check(path, p.sha256); err != nil {
			return err
		}
	}
	return nil
}

func write(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
