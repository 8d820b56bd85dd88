package scenes

// projectSeed separates these scenes from any other use of the same generator.
const projectSeed = 0x5ce9_e5c0_7314_2026

// One stream of random numbers a concern: how many numbers one concern draws
// never shifts another, and nothing but the object knows the label.
const (
	backgroundStream = iota + 1
	placeStream
	objectStream
	clutterStream
	occluderStream
	lightStream
	noiseStream
	kitStream
)

// random is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, 2014). The value is the state.
type random uint64

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return mix(uint64(*r))
}

// below returns a number in [0, n), n > 0 and small.
func (r *random) below(n int) int { return int((r.next() >> 32) * uint64(n) >> 32) }

// between returns a number in [lo, hi].
func (r *random) between(lo, hi int) int { return lo + r.below(hi-lo+1) }

// percent is true p times in a hundred.
func (r *random) percent(p int) bool { return r.below(100) < p }

// sceneSeed hashes the project, the split's name (FNV-1a, 64 bits) and the index.
func sceneSeed(s Split, i int) uint64 {
	h := uint64(14695981039346656037)
	for k := range len(s) {
		h = (h ^ uint64(s[k])) * 1099511628211
	}
	return mix(mix(projectSeed^h) + uint64(i)*0x9e3779b97f4a7c15)
}

// stream returns the random numbers of one concern of a scene.
func stream(seed uint64, concern int) *random {
	r := random(mix(seed + uint64(concern)*0xd1342543de82ef95))
	return &r
}

// quarterSine[i] = round(16384 * sin(i/64 * 90 degrees)).
var quarterSine = [65]int16{
	0, 402, 804, 1205, 1606, 2006, 2404, 2801, 3196, 3590, 3981,
	4370, 4756, 5139, 5520, 5897, 6270, 6639, 7005, 7366, 7723, 8076,
	8423, 8765, 9102, 9434, 9760, 10080, 10394, 10702, 11003, 11297, 11585,
	11866, 12140, 12406, 12665, 12916, 13160, 13395, 13623, 13842, 14053, 14256,
	14449, 14635, 14811, 14978, 15137, 15286, 15426, 15557, 15679, 15791, 15893,
	15986, 16069, 16143, 16207, 16261, 16305, 16340, 16364, 16379, 16384,
}

// sin returns 16384 * sin of an angle in 1/256 turns, any integer.
func sin(a int) int {
	a &= 255
	switch {
	case a <= 64:
		return int(quarterSine[a])
	case a <= 128:
		return int(quarterSine[128-a])
	case a <= 192:
		return -int(quarterSine[a-128])
	}
	return -int(quarterSine[256-a])
}

func cos(a int) int { return sin(a + 64) }
