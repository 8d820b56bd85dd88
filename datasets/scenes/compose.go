package scenes

// drawScene draws the creature k on a surface, with clutter behind it, at
// times something before it, and the light and noise of a camera. Only the
// creature's own stream of random numbers meets k: what is around it, where it
// is and what covers it tell nothing about it.
func drawScene(seed uint64, k kit, sc *Scene) {
	pix, mask := sc.Pixels, sc.Mask
	around := paintSurface(pix, stream(seed, backgroundStream))

	r := stream(seed, placeStream)
	f := randomFrame(r, r.between(14<<8, 25<<8))
	shade := point{r.between(-5, 5), r.between(-5, 5)}

	drawClutter(pix, mask, stream(seed, clutterStream), shade)

	r = stream(seed, objectStream)
	k = k.vary(r)
	var d drawing
	k.paint(&d, r)
	k.build(&d, r)
	d.draw(pix, mask, &f, object, shade)

	drawOccluder(pix, mask, stream(seed, occluderStream), &f, around, shade)
	finish(seed, pix)
}

// randomFrame places something of the given half length (1/256 pixels) so that
// most of it is in the picture.
func randomFrame(r *random, half int) frame {
	margin := half * 3 / 4
	turn := r.between(-22, 22)
	return frame{
		x:      r.between(margin, Size<<8-margin),
		y:      r.between(margin, Size<<8-margin),
		sx:     half * r.between(225, 290) / 256,
		sy:     half * r.between(225, 290) / 256,
		c:      cos(turn),
		s:      sin(turn),
		mirror: r.percent(50),
	}
}

// paint chooses the colours. The hue of body and accent are those of
// the kit as often as not, and any otherwise.
func (k kit) paint(d *drawing, r *random) {
	hue := func(own int) int {
		if r.percent(hueReplaced) {
			return r.below(1536)
		}
		return own
	}
	body, accent := hue(k.bodyHue), hue(k.accentHue)
	skin := brightColour(r, body)
	d.paints[bodyPaint] = paint{
		c:       [2]rgb{skin, skin.shaded(r.between(90, 190))},
		pattern: pattern(k.coat),
		period:  r.between(170, 330),
	}
	for _, p := range [...]int{headPaint, limbPaint, tailPaint} {
		c := brightColour(r, body)
		if r.percent(40) {
			c = brightColour(r, r.below(1536))
		}
		d.paints[p] = paint{c: [2]rgb{c, c}}
	}
	c := brightColour(r, accent)
	d.paints[accentPaint] = paint{c: [2]rgb{c, c}}
	eye := rgb{20, 20, 25}
	d.paints[eyePaint] = paint{c: [2]rgb{eye, eye}}
}

// drawClutter scatters up to four loose things: parts of random creatures,
// each smaller than on a creature of usual size, and plain shapes.
func drawClutter(pix, mask []byte, r *random, shade point) {
	for range r.below(5) {
		var d drawing
		c := randomColour(r)
		for i := range d.paints {
			d.paints[i] = paint{c: [2]rgb{c, c}}
		}
		d.paints[accentPaint] = randomPaint(r, randomColour(r), c)
		f := randomFrame(r, r.between(9<<8, 18<<8))
		f.x, f.y = r.between(0, Size<<8), r.between(0, Size<<8)
		switch r.below(6) {
		case 0:
			d.head(r.below(seenHeads), 0, 0, 230)
		case 1:
			d.limbs(r.below(seenLimbs), 0, -200, 256)
		case 2:
			d.tail(r.below(seenTails), 200, 0, 256)
		case 3:
			d.ellipse(accentPaint, 0, 0, r.between(150, 500), r.between(150, 500))
		case 4:
			w, h := r.between(120, 500), r.between(120, 500)
			d.polygon(accentPaint, -w, -h, w, -h, w/2, h, -w, h)
		default:
			d.line(accentPaint, -r.between(200, 900), 0, r.between(200, 900), r.between(-300, 300), r.between(40, 110))
		}
		d.draw(pix, mask, &f, clutter, shade)
	}
}

// drawOccluder covers part of the object at f in four scenes of ten, half the
// time where its head is.
func drawOccluder(pix, mask []byte, r *random, at *frame, around rgb, shade point) {
	if !r.percent(40) {
		return
	}
	u, v := r.between(-700, 700), r.between(-400, 600)
	if r.percent(50) {
		u, v = headX+r.between(-120, 200), headY+r.between(-250, 150)
	}
	f := randomFrame(r, at.sx*r.between(110, 175)/256)
	f.x, f.y = at.forward(u, v)
	c := around.near(r, 40)
	if r.percent(60) {
		c = randomColour(r)
	}
	var d drawing
	d.paints[0] = randomPaint(r, c, c.near(r, 60))
	switch r.below(4) {
	case 0:
		d.ellipse(0, 0, 0, 1000, r.between(600, 1000))
	case 1:
		h := r.between(600, 950)
		d.polygon(0, -900, -h, 900, -h, 900, h, -900, h)
	case 2:
		d.polygon(0, -1000, r.between(300, 700), r.between(-700, 0), -900, 1000, r.between(-400, 100), r.between(100, 500), 900)
	default:
		for i := -2; i <= 2; i++ {
			d.line(0, i*480, -1100, i*480+r.between(-150, 150), 1100, r.between(80, 150))
		}
	}
	d.draw(pix, mask, &f, occluder, shade)
}

// finish adds what the camera does: exposure, tint, light from one side, a
// soft lens and grain.
func finish(seed uint64, pix []byte) {
	r := stream(seed, lightStream)
	gain, lift := r.between(200, 300), r.between(-20, 20)
	gx, gy := r.between(-2, 2), r.between(-2, 2)
	var tint [3]int
	for i := range tint {
		tint[i] = r.between(240, 272)
	}
	soft, grain := r.percent(25), r.between(0, 22)
	if soft {
		soften(pix)
	}
	r = stream(seed, noiseStream)
	for y := range Size {
		for x := range Size {
			light := (gain + (x-Size/2)*gx + (y-Size/2)*gy)
			k := 3 * (y*Size + x)
			for ch := range 3 {
				v := (int(pix[k+ch])-128)*light*tint[ch]>>16 + 128 + lift
				v += bell(r) * grain >> 8
				pix[k+ch] = byte(min(max(v, 0), 255))
			}
		}
	}
}

// soften blurs with the kernel (1, 2, 1)/4 along both axes, edges repeated.
func soften(pix []byte) {
	for y := range Size {
		row := pix[3*Size*y : 3*Size*(y+1)]
		blurLine(row, 3, 0)
		blurLine(row, 3, 1)
		blurLine(row, 3, 2)
	}
	for k := range 3 * Size {
		blurLine(pix, 3*Size, k)
	}
}

func blurLine(p []byte, stride, from int) {
	before := int(p[from])
	for i := range Size {
		k := from + i*stride
		here, after := int(p[k]), int(p[k])
		if i+1 < Size {
			after = int(p[k+stride])
		}
		p[k] = byte((before + 2*here + after + 2) >> 2)
		before = here
	}
}
