package scores

// Part is a matrix of a score's state.
type Part struct {
	Name       string
	rows, cols side
}

// side is a side of a matrix: a number, or one that depends on the model. Of ranks and of images
// there can be fewer.
type side int

const (
	byClass side = -1 - iota
	byFeature
	byRank  // up to the number of features
	byImage // those that a Sample keeps
)

// of is the side for a model of as many classes and features.
func (s side) of(c, d int) int64 {
	switch s {
	case byClass:
		return int64(c)
	case byFeature, byRank:
		return int64(d)
	case byImage:
		return max(sampleValues/max(int64(c), int64(d), 1), 1)
	}
	return int64(s)
}

// Most is the size of the part, at most, for a model of as many classes and features.
func (p Part) Most(classes, features int) (rows, cols int64) {
	return p.rows.of(classes, features), p.cols.of(classes, features)
}

// Parts are the matrices of the score's state.
func (s Score) Parts() []Part { return s.parts }
