// Package frost finds the textures that the corruption frost is made of: the benchmark's
// photographs, downloaded or in a folder, or those that package corrupt draws.
package frost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cutmix-eval/corrupt"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/pin"
	"cutmix-eval/internal/regular"
)

// Fetched stands for the folder that Fetch makes.
const Fetched = "fetched"

// maxTexture bounds the file of a texture.
const maxTexture = 256 << 20

// files are the benchmark's textures, of the repository hendrycks/robustness
// (Apache-2.0). Its frost6 is used by none of its scripts.
func files() []pin.File {
	const at = "https://raw.githubusercontent.com/hendrycks/robustness/8190fe329f5f072a06e3a2aea02bb5dda69aed9f/ImageNet-C/create_c/"
	file := func(name, sum string, size int64) pin.File {
		return pin.File{Name: name, URL: at + name, SHA256: sum, Size: size}
	}
	return []pin.File{
		file("frost1.png", "ff9f907860bd7a835d459e32f9d588062b7f61ee267343cc7222b56753a14755", 1199930),
		file("frost2.png", "fe211a89b336999c207a852ce05818d4545d0b57c5beadd824b4cc9d9a9b6137", 299002),
		file("frost3.png", "2d0d50b4a9bb213f38b024ef7768731bb83cc08d2f26b5766bbc167cdfa0e504", 299002),
		file("frost4.jpg", "3f8b91ca1a9fa7167b09e773da53f5ae60d0a1fd88f02a783f6e328a72887f6e", 36734),
		file("frost5.jpg", "5fc6a19df4a429ba68abdcc8f8a4278d4c9f81c9ccafd2c92ab0c8cf8992ebd2", 155150),
	}
}

func fetchedDir() (string, error) {
	dir, err := cache.Dir()
	return filepath.Join(dir, "frost"), err
}

// Fetch downloads the benchmark's textures into the cache, verified, and returns their folder.
// progress, if not nil, is given the bytes of each file.
func Fetch(ctx context.Context, progress func(name string, done, total int64)) (string, error) {
	dir, err := fetchedDir()
	if err != nil {
		return "", err
	}
	for _, f := range files() {
		tell := func(done, total int64) {
			if progress != nil {
				progress(f.Name, done, total)
			}
		}
		if err := f.Fetch(ctx, filepath.Join(dir, f.Name), time.Minute, tell); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// Load reads the benchmark's textures, frost1 to frost5 (.png or .jpg), from a folder, or those
// that were fetched; without one they are nil, which corrupt.New takes for the built-in ones.
// about says which they are.
func Load(dir string) (frosts corrupt.Frosts, about string, err error) {
	if dir == Fetched {
		if dir, err = fetchedDir(); err != nil {
			return nil, "", err
		}
		if _, err := os.Stat(dir); err != nil {
			return nil, "", errors.New("frost textures were not fetched yet: cutmix-eval datasets fetch frost")
		}
	}
	if dir == "" {
		return nil, "built-in textures, drawn by this program; published numbers use photographs (--frost)", nil
	}
	h := sha256.New()
	var dec imageproc.Decoder
	for k := 1; k <= 5; k++ {
		var data []byte
		err := error(fs.ErrNotExist)
		for _, ext := range []string{".png", ".jpg", ".jpeg"} {
			if errors.Is(err, fs.ErrNotExist) {
				data, err = regular.Read(filepath.Join(dir, fmt.Sprintf("frost%d%s", k, ext)), maxTexture)
			}
		}
		if err != nil {
			return nil, "", fmt.Errorf("frost textures: folder %q has no frost%d.png or frost%d.jpg: %w", dir, k, k, err)
		}
		im, _, err := dec.Decode(data)
		if err != nil {
			return nil, "", fmt.Errorf("frost textures: frost%d of %q: %w", k, dir, err)
		}
		h.Write(data)
		im.Pix = slices.Clone(im.Pix)
		frosts = append(frosts, im)
	}
	return frosts, fmt.Sprintf("textures of a folder (sha256 %s)", hex.EncodeToString(h.Sum(nil)[:6])), nil
}
