package bench

import (
	"math"
	"testing"
)

func TestValidate(t *testing.T) {
	for c, ok := range map[Config]bool{
		{6, 0}: true, {1, 100_000_000}: true, {0, 0}: false, {6, -1}: false, {6, math.MaxInt}: false, {math.MaxInt, 1}: false,
	} {
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
