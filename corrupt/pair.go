package corrupt

// pair adds (a + b) k to acc.
func pair(acc, a, b []float64, k float64) {
	a, b = a[:len(acc)], b[:len(acc)]
	i := 0
	if fast {
		if i = len(acc) &^ 3; i > 0 {
			pairAVX2(&acc[0], &a[0], &b[0], k, i)
		}
	}
	for ; i < len(acc); i++ {
		acc[i] += float64((a[i] + b[i]) * k)
	}
}

// pairs is the same of integers.
func pairs(acc []float64, a, b []int32, k float64) {
	a, b = a[:len(acc)], b[:len(acc)]
	i := 0
	if fast {
		if i = len(acc) &^ 3; i > 0 {
			pairsAVX2(&acc[0], &a[0], &b[0], k, i)
		}
	}
	for ; i < len(acc); i++ {
		acc[i] += float64(float64(a[i]+b[i]) * k)
	}
}
