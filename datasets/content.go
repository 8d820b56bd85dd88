package datasets

import (
	"encoding/binary"
	"io"
	"path"
	"strings"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/regular"
)

// named is what the name of a file says about it.
type named int

const (
	unclear      named = iota // no extension, or an unknown one: the content decides
	likeImage                 // what it really is, its content decides
	likeNonImage              // text, tables, archives, models and the like
)

// naming says what the extension of a file means, upper or lower case.
func naming(p string) named {
	switch strings.ToLower(path.Ext(p)) {
	case ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib",
		".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff",
		".heic", ".heif", ".avif", ".jp2", ".j2k", ".jpx", ".jxl":
		return likeImage
	case ".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".xml", ".yaml", ".yml", ".toml", ".html", ".log",
		".npy", ".npz", ".mat", ".pkl", ".h5", ".hdf5", ".parquet", ".bin", ".tfrecord", ".lmdb", ".db",
		".tar", ".gz", ".tgz", ".zip", ".7z", ".xz", ".bz2", ".zst",
		".onnx", ".pt", ".pth", ".safetensors", ".py", ".sh", ".ipynb", ".m", ".pdf", ".mp4", ".avi", ".mov":
		return likeNonImage
	}
	return unclear
}

// imageName says whether a file's name is that of an image.
func imageName(p string) bool { return naming(p) == likeImage }

// isImage says whether a file is taken for an image: by its name, and where that says nothing,
// by its first bytes, which are read then.
func isImage(p string, head func(buf []byte) int) bool {
	switch naming(p) {
	case likeImage:
		return true
	case likeNonImage:
		return false
	}
	var buf [32]byte
	return imageStart(buf[:head(buf[:])])
}

// fileStart reads the first bytes of a file; nothing where it cannot be read.
func fileStart(name string) func(buf []byte) int {
	return func(buf []byte) int {
		f, err := regular.Open(name)
		if err != nil {
			return 0
		}
		defer f.Close()
		n, _ := io.ReadFull(f, buf)
		return n
	}
}

// imageStart says whether these are the first bytes of an image. Formats whose signature a text
// could begin with must go on as they do.
func imageStart(b []byte) bool {
	switch imageproc.Sniff(b) {
	case imageproc.Unknown:
		return false
	case imageproc.BMP: // "BM", the length, two reserved numbers, the offset, the length of the header
		return len(b) >= 18 && b[0] == 'B' && binary.LittleEndian.Uint32(b[6:]) == 0 && binary.LittleEndian.Uint32(b[14:]) <= 124
	case imageproc.Netpbm: // "P6", white space, the width or a comment
		rest := strings.TrimLeft(string(b[2:]), " \t\r\n")
		return rest != "" && (rest[0] == '#' || rest[0] >= '0' && rest[0] <= '9')
	}
	return true
}
