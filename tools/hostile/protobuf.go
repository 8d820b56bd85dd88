//go:build unix

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"google.golang.org/protobuf/encoding/protowire"
)

// wire is one field of a message: its number, and its value as it is encoded.
type wire struct {
	number protowire.Number
	typ    protowire.Type
	value  []byte // of a field of bytes: those, without their length
}

// fields splits a message; nil where the bytes are none.
func fields(data []byte) []wire {
	var out []wire
	for len(data) > 0 {
		number, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil
		}
		data = data[n:]
		n = protowire.ConsumeFieldValue(number, typ, data)
		if n < 0 {
			return nil
		}
		value := data[:n]
		if typ == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(data)
		}
		out, data = append(out, wire{number, typ, value}), data[n:]
	}
	return out
}

func encoded(all []wire) []byte {
	var out []byte
	for _, f := range all {
		out = protowire.AppendTag(out, f.number, f.typ)
		if f.typ == protowire.BytesType {
			out = protowire.AppendBytes(out, f.value)
		} else {
			out = append(out, f.value...)
		}
	}
	return out
}

// changeProtobuf changes one field somewhere in a message, so that all around it stays right.
func changeProtobuf(rng *rand.Rand, data []byte) ([]byte, string) {
	all := fields(data)
	if len(all) == 0 {
		return changeBytes(rng, data)
	}
	i := rng.IntN(len(all))
	f := &all[i]
	if f.typ == protowire.BytesType && len(f.value) > 1 && fields(f.value) != nil && rng.IntN(10) > 0 {
		inside, what := changeProtobuf(rng, f.value)
		f.value = inside
		return encoded(all), fmt.Sprintf("field %d: %s", f.number, what)
	}
	what := ""
	switch n := rng.IntN(8); {
	case n == 0:
		all, what = append(all[:i:i], all[i+1:]...), "left out"
	case n == 1:
		all, what = append(all, *f), "twice"
	case n == 2:
		f.number, what = pick(rng, protowire.Number(1), 2, 3, 5, 7, 8, 9, 11, 13, 14, 20, 1<<20), "under another number"
	case f.typ == protowire.VarintType:
		v := pick(rng, 0, 1, 2, 7, 8, 16, 17, 255, 1<<20, 1<<31-1, 1<<31, 1<<40, 1<<62, 1<<63, ^uint64(0))
		f.value, what = protowire.AppendVarint(nil, v), fmt.Sprintf("is %d", v)
	case f.typ == protowire.BytesType && n == 3:
		s := strange(rng)
		f.value, what = []byte(s), fmt.Sprintf("is %.30q", s)
	case f.typ == protowire.BytesType && n == 4:
		f.value, what = bytes.Repeat(f.value, 1+rng.IntN(4)), "is there several times over"
	case n == 5: // the data lie in another file
		location := protowire.AppendTag(nil, 1, protowire.BytesType)
		location = protowire.AppendString(location, "location")
		location = protowire.AppendTag(location, 2, protowire.BytesType)
		location = protowire.AppendString(location, pick(rng, "../../../../etc/passwd", "/dev/zero", "model.onnx", "", "x\x00y", "."))
		all = append(all, wire{13, protowire.BytesType, location}, wire{14, protowire.VarintType, []byte{1}})
		what = "followed by external data"
	default:
		changed, how := changeBytes(rng, f.value)
		if f.typ != protowire.BytesType && len(changed) != len(f.value) {
			changed, how = garbage(rng, len(f.value)), "is random"
			if f.typ != protowire.Fixed32Type && f.typ != protowire.Fixed64Type {
				changed = []byte{1}
			}
		}
		f.value, what = changed, how
	}
	number := protowire.Number(0)
	if i < len(all) {
		number = all[i].number
	}
	return encoded(all), fmt.Sprintf("field %d %s", number, what)
}
