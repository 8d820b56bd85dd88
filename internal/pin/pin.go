// Package pin checks files against the checksums they are pinned to.
package pin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"cutmix-eval/internal/regular"
)

// MismatchError says that a file is not the one that was pinned.
type MismatchError struct {
	File      string
	Want, Got string // checksum in hexadecimal, or another property
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s is not the pinned file: it is %s, pinned is %s", e.File, e.Got, e.Want)
}

// SHA256 returns the checksum of a file in hexadecimal.
func SHA256(path string) (string, error) {
	f, err := regular.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Sum returns the checksum of data in hexadecimal.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// CheckBytes is Check for a file that has been read.
func CheckBytes(path string, data []byte, want string) error {
	if got := Sum(data); got != want {
		return &MismatchError{File: path, Want: want, Got: got}
	}
	return nil
}

// Check compares a file with its pinned checksum; a file of other contents is a
// *MismatchError.
func Check(path, want string) error {
	got, err := SHA256(path)
	if err != nil {
		return err
	}
	if got != want {
		return &MismatchError{File: path, Want: want, Got: got}
	}
	return nil
}

// Stamp writes what tells a file from others, and from what it was before, without reading
// it: size and time of change.
func Stamp(sum io.Writer, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%d %d\n", info.Size(), info.ModTime().UnixNano())
	return nil
}
