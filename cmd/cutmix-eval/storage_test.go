package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cutmix-eval/internal/long"
)

// TestMovedAway moves the images away from a program that is at work: it stops with exit code 1 and
// says so, and goes on when they are back. The report is that of a run that was left alone.
func TestMovedAway(t *testing.T) {
	long.Skip(t, "evaluating 8,000 images from files twice takes ten seconds")
	dir := t.TempDir()
	data, away := filepath.Join(dir, "data"), filepath.Join(dir, "away")
	if code, _, errs := command(t, "datasets", "export", "scenes", "--split", "train", "--out", data, "--quiet"); code != exitDone {
		t.Fatal(errs)
	}
	alone, moved := filepath.Join(dir, "alone"), filepath.Join(dir, "moved")
	if code, _, errs := command(t, "classify", "--data", data, "--out", alone, "--quiet"); code != exitDone {
		t.Fatal(errs)
	}
	cmd := program(t, "classify", "--data", data, "--out", moved, "--quiet")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForPart(t, moved, 0, &stderr)
	if err := os.Rename(data, away); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if text := stderr.String(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed ||
		!strings.Contains(text, "and is gone") || !strings.Contains(text, "run the same command again") {
		t.Fatalf("%v: %s", err, text)
	}
	if err := os.Rename(away, data); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, "classify", "--data", data, "--out", moved, "--quiet"); code != exitDone {
		t.Fatal(errs)
	}
	if reported(t, moved) != reported(t, alone) {
		t.Error("the reports differ")
	}
}

// TestPipesRefused gives a pipe that nobody writes to wherever a file is asked for: the program says
// so at once, as it would wait without end.
func TestPipesRefused(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.json")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	images := filepath.Join(dir, "images")
	if code, _, errs := command(t, "datasets", "export", "scenes", "--limit", "20", "--out", images, "--quiet"); code != exitDone {
		t.Fatal(errs)
	}
	small := []string{"classify", "--limit", "20", "--quiet"}
	for _, args := range [][]string{
		append(small, "--model", pipe), append(small, "--data", pipe), append(small, "--data", images, "--labels", pipe), append(small, "--preprocessing", pipe),
		append(small, "--subset", pipe), append(small, "--predictions", pipe), append(small, "--multi-label", pipe),
		{"corruption", "--baseline", pipe, "--limit", "20"}, {"localize", "--boxes", pipe, "--limit", "20"}, {"finetune", "--suite", pipe, "--out", filepath.Join(dir, "o")},
		{"ood", "apply", pipe, "--data", images}, {"models", "show", pipe},
	} {
		ended := make(chan string, 1)
		go func() {
			code, _, errs := command(t, args...)
			if code != exitFailed && code != exitUsage {
				errs = "exit 0"
			}
			ended <- errs
		}()
		select {
		case text := <-ended:
			if !strings.Contains(text, "not a regular file") && !strings.Contains(text, "nor a regular file") {
				t.Errorf("%q: %s", args, text)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%q hangs", args)
		}
	}
}
