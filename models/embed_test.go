package models

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestREADME compares each embedded file with the hash that README.md states.
func TestREADME(t *testing.T) {
	if got, want := Names(), []string{"scenes-base", "scenes-cutmix"}; !slices.Equal(got, want) {
		t.Fatalf("Names() = %q, want %q", got, want)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		b, ok := Bytes(name)
		if !ok {
			t.Fatalf("Bytes(%q) has no file", name)
		}
		sum := sha256.Sum256(b)
		if hash := hex.EncodeToString(sum[:]); !strings.Contains(string(readme), hash) {
			t.Errorf("%s has SHA-256 %s, which README.md does not state", name, hash)
		}
	}
	if _, ok := Bytes("scenes"); ok {
		t.Error(`Bytes("scenes") found a file`)
	}
}
