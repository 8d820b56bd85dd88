package corrupt

import (
	"cutmix-eval/imageproc"
)

// jpegRoundTrip gives src the artefacts of a JPEG file of the quality.
func (c *Corruptor) jpegRoundTrip(dst, src imageproc.Image, quality int) {
	if err := c.jpeg.RoundTrip(dst.Pix, src.Pix, src.W, src.H, quality); err != nil {
		panic("corrupt: " + err.Error()) // sizes and qualities are known to be possible
	}
}
