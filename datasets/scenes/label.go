package scenes

// LabelOf returns the label of scene i of s without drawing it: 0 to 9, or -1
// in an unlabelled split. It panics as [Generate] does.
func LabelOf(s Split, i int) int {
	d := mustFind(s)
	checkIndex(d, i)
	if d.classes == nil {
		return -1
	}
	return i % numClasses
}
