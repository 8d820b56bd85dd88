//go:build unix

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"cutmix-eval/internal/npy"
)

// member is a file in an archive.
type member struct {
	name  string
	data  []byte
	zeros int // that follow the data
}

// write writes a member's contents. Zeros never lie in memory: the peak of this process's memory
// would be taken for that of the processes that it starts.
func (m member) write(w io.Writer) error {
	_, err := w.Write(m.data)
	block := make([]byte, 1<<16)
	for left := m.zeros; left > 0 && err == nil; left -= len(block) {
		_, err = w.Write(block[:min(left, len(block))])
	}
	return err
}

// zipped packs members into a zip file.
func zipped(members []member) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		method := zip.Store
		if m.zeros > 0 {
			method = zip.Deflate
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: method})
		if err == nil && !strings.HasSuffix(m.name, "/") { // a folder holds nothing
			err = m.write(w)
		}
		if err != nil {
			panic(err) // memory does not fail
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func unzipped(data []byte) []member {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil
	}
	var out []member
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return nil
		}
		out = append(out, member{name: f.Name, data: text})
	}
	return out
}

// tarred packs members into a tar file; a member without data whose name holds "->" is a link.
func tarred(members []member) []byte {
	var b bytes.Buffer
	tarTo(&b, members)
	return b.Bytes()
}

func tarTo(out io.Writer, members []member) {
	t := tar.NewWriter(out)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.data) + m.zeros), Typeflag: tar.TypeReg}
		if name, to, ok := strings.Cut(m.name, "->"); ok {
			h = &tar.Header{Name: name, Linkname: to, Mode: 0o777, Typeflag: tar.TypeSymlink}
		}
		if t.WriteHeader(h) != nil {
			continue // a name that no tar file can have
		}
		_ = m.write(t)
	}
	_ = t.Close()
}

func untarred(data []byte) []member {
	var out []member
	t := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := t.Next()
		if err != nil {
			return out
		}
		text, err := io.ReadAll(t)
		if err != nil {
			return nil
		}
		out = append(out, member{name: h.Name, data: text})
	}
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Bytes()
}

// changeMembers changes what lies in an archive, which stays whole around it.
func changeMembers(rng *rand.Rand, members []member) ([]member, string) {
	members = slices.Clone(members)
	i := rng.IntN(len(members))
	name := members[i].name
	switch n := rng.IntN(12); n {
	case 0:
		return slices.Delete(members, i, i+1), name + " left out"
	case 1:
		return append(members, members[i]), name + " there twice"
	case 2, 3:
		to := pick(rng, "../"+name, "/"+name, "a/../../"+name, strings.Repeat("d/", 200)+name, strings.Repeat("n", 300), "", "x\x00y", name+"/", "C:\\"+name, "\xff\xfe", ".")
		members[i].name = to
		return members, fmt.Sprintf("%s called %.40q", name, to)
	case 4:
		return append(members, member{name: pick(rng, "strange.bin", "state/x.npy", "a/b/c.png"), data: garbage(rng, 1000)}), "a member more"
	case 5:
		return append(members, member{name: path.Join(path.Dir(name), "link.png") + "->" + pick(rng, "/etc/passwd", "../../x", name)}), "a link"
	case 6:
		if rng.IntN(8) == 0 { // these take time to make
			members[i].zeros = 200 << 20
			return members, name + " with 200 MB of zeros after it"
		}
	}
	changed, what := changeFor(name)(rng, members[i].data)
	members[i].data = changed
	return members, name + ": " + what
}

func changeZip(rng *rand.Rand, data []byte) ([]byte, string) {
	members := unzipped(data)
	if rng.IntN(3) == 0 || len(members) == 0 {
		return changeBytes(rng, data)
	}
	members, what := changeMembers(rng, members)
	return zipped(members), what
}

func changeTar(rng *rand.Rand, data []byte) ([]byte, string) {
	members := untarred(data)
	if rng.IntN(3) == 0 || len(members) == 0 {
		return changeBytes(rng, data)
	}
	members, what := changeMembers(rng, members)
	for i := range members {
		members[i].zeros /= 50 // they are not packed
	}
	return tarred(members), what
}

func changeTarGz(rng *rand.Rand, data []byte) ([]byte, string) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil || rng.IntN(3) == 0 {
		return changeBytes(rng, data)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return changeBytes(rng, data)
	}
	members := untarred(text)
	if rng.IntN(3) == 0 || len(members) == 0 {
		text, what := changeBytes(rng, text)
		return gzipped(text), what
	}
	members, what := changeMembers(rng, members)
	var b bytes.Buffer
	packed := gzip.NewWriter(&b)
	tarTo(packed, members)
	_ = packed.Close()
	return b.Bytes(), what
}

// changeParquet changes a Parquet file, its footer above all.
func changeParquet(rng *rand.Rand, data []byte) ([]byte, string) {
	if len(data) < 12 || rng.IntN(2) == 0 {
		return changeBytes(rng, data)
	}
	out := bytes.Clone(data)
	footer := int(binary.LittleEndian.Uint32(out[len(out)-8:]))
	if rng.IntN(5) == 0 || footer < 1 || footer > len(out)-12 {
		n := pick(rng, uint32(0), 1, 7, uint32(len(out)), 1<<31-1, 1<<31, 1<<32-1)
		binary.LittleEndian.PutUint32(out[len(out)-8:], n)
		return out, fmt.Sprintf("its footer has %d bytes, it says", n)
	}
	n := 1 + rng.IntN(4)
	for range n {
		at := len(out) - 8 - footer + rng.IntN(footer)
		out[at] = pick(rng, out[at]^1<<rng.IntN(8), 0, 0xff, 0x7f, 0x80)
	}
	return out, fmt.Sprintf("%d bytes of its footer changed", n)
}

// changeNpy changes a numpy array, its header above all.
func changeNpy(rng *rand.Rand, data []byte) ([]byte, string) {
	info, err := npy.Parse(bytes.NewReader(data), int64(len(data)))
	if err != nil || rng.IntN(3) == 0 {
		return changeBytes(rng, data)
	}
	kind := pick(rng, info.Kind, info.Kind, "f8", "f4", "f2", "i8", "u1", "i1", "c16", "O", "U10", "S4", "V3", "M8[ns]", "b1")
	shape := fmt.Sprint(info.Shape)
	shape = "(" + strings.ReplaceAll(shape[1:len(shape)-1], " ", ", ") + ",)"
	if rng.IntN(3) > 0 {
		shape = pick(rng, "()", "(0,)", "(1,)", "(-1,)", "(0, 0)", "(4611686018427387904, 4)", "(9223372036854775807,)", "(99999999999999999999,)",
			"(1000000, 1000000)", "(1, 1, 1, 1, 1, 1, 1, 1, 1)", "(1.5,)", "("+strings.Repeat("1, ", 4000)+")", "x", "(2147483648, 2147483648, 2)")
	}
	order := pick(rng, "<", "<", ">", "|", "=", "")
	fortran := pick(rng, "False", "False", "True", "0")
	text := fmt.Sprintf("{'descr': '%s%s', 'fortran_order': %s, 'shape': %s, }", order, kind, fortran, shape)
	for (len(text)+11)%64 != 0 {
		text += " "
	}
	text += "\n"
	header := append([]byte("\x93NUMPY\x01\x00"), byte(len(text)), byte(len(text)>>8))
	return append(append(header, text...), data[info.Offset:]...), fmt.Sprintf("its header is %.100s", strings.TrimSpace(text))
}
