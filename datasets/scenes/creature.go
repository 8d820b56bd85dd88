package scenes

// kit says which parts make a creature. Values from the first unseen one on
// occur in none of the known classes.
type kit struct {
	head, body, limbs, tail, coat int
	bodyHue, accentHue            int  // usual ones, 0 to 1535
	keepsHead                     bool // it is never missing
}

// Parts, in the order of the switch statements that draw them.
const (
	seenHeads, nearHeads = 10, 16 // horns beak ears spiral comb antennae points trunk lance claw | hat halo hammer mane prongs bun | tusks hood spoon lamp
	seenBodies, bodies   = 5, 8   // barrel box dome chain kite | pyramid ring hourglass
	seenLimbs, allLimbs  = 5, 7   // legs wheels fins feelers stilts | rocker foot
	seenTails, tails     = 5, 7   // tuft fork curl fan zigzag | arrow beads
	missing              = -1     // a part that is not there
)

// class is a name and the kit of its creatures.
type class struct {
	name string
	kit  kit
}

// numClasses is the number of classes of every labelled split.
const numClasses = 10

// knownClasses are those of Train, Val and Test in label order. Classes c and
// c+5 share a body; limbs, tails, coats and hues are shared by other pairs, so
// that no two classes agree in two of body, limbs and tail, nor in both hues.
var knownClasses = [numClasses]class{
	{"bull", kit{head: 0, body: 0, limbs: 0, tail: 2, coat: 3, bodyHue: 0, accentHue: 764}},
	{"heron", kit{head: 1, body: 1, limbs: 1, tail: 3, coat: 4, bodyHue: 307, accentHue: 1378}},
	{"mouse", kit{head: 2, body: 2, limbs: 2, tail: 4, coat: 0, bodyHue: 614, accentHue: 457}},
	{"ram", kit{head: 3, body: 3, limbs: 3, tail: 0, coat: 1, bodyHue: 921, accentHue: 1071}},
	{"dragon", kit{head: 4, body: 4, limbs: 4, tail: 1, coat: 2, bodyHue: 1228, accentHue: 150}},
	{"beetle", kit{head: 5, body: 0, limbs: 1, tail: 4, coat: 1, bodyHue: 921, accentHue: 150}},
	{"fox", kit{head: 6, body: 1, limbs: 2, tail: 0, coat: 2, bodyHue: 1228, accentHue: 457}},
	{"elephant", kit{head: 7, body: 2, limbs: 3, tail: 1, coat: 3, bodyHue: 0, accentHue: 1071}},
	{"narwhal", kit{head: 8, body: 3, limbs: 4, tail: 2, coat: 4, bodyHue: 307, accentHue: 764}},
	{"crab", kit{head: 9, body: 4, limbs: 0, tail: 3, coat: 0, bodyHue: 614, accentHue: 1378}},
}

// newClasses are those of NewTrain, NewVal and NewTest in label order. They
// share parts among themselves as the known ones do. Their heads are unseen, as
// are some of their bodies, limbs and tails. None agrees with a known class in
// two of body, limbs and tail, nor with that of the same label in any part or
// the coat.
var newClasses = [numClasses]class{
	{"cassowary", kit{head: 10, body: 3, limbs: 1, tail: 1, coat: 2, bodyHue: 767, accentHue: 1531}},
	{"phoenix", kit{head: 11, body: 7, limbs: 2, tail: 2, coat: 3, bodyHue: 1074, accentHue: 610}},
	{"hammerhead", kit{head: 12, body: 0, limbs: 5, tail: 6, coat: 4, bodyHue: 1381, accentHue: 1224}},
	{"lion", kit{head: 13, body: 6, limbs: 6, tail: 4, coat: 0, bodyHue: 153, accentHue: 303}},
	{"catfish", kit{head: 14, body: 5, limbs: 0, tail: 5, coat: 1, bodyHue: 460, accentHue: 917}},
	{"poodle", kit{head: 15, body: 3, limbs: 2, tail: 6, coat: 0, bodyHue: 153, accentHue: 917}},
	{"walrus", kit{head: 16, body: 7, limbs: 5, tail: 4, coat: 1, bodyHue: 460, accentHue: 1224}},
	{"cobra", kit{head: 17, body: 0, limbs: 6, tail: 5, coat: 2, bodyHue: 767, accentHue: 303}},
	{"spoonbill", kit{head: 18, body: 6, limbs: 0, tail: 1, coat: 3, bodyHue: 1074, accentHue: 1531}},
	{"anglerfish", kit{head: 19, body: 5, limbs: 1, tail: 2, coat: 4, bodyHue: 1381, accentHue: 610}},
}

// matches counts how many of body, limbs and tail k shares with o.
func (k kit) matches(o kit) int {
	n := 0
	for _, same := range [...]bool{k.body == o.body, k.limbs == o.limbs, k.tail == o.tail} {
		if same {
			n++
		}
	}
	return n
}

// unseenKit draws a creature with an unseen head that is never missing. Its
// other parts, unseen or not, agree with no known class in more than one of
// body, limbs and tail.
func unseenKit(r *random) kit {
	for {
		k := kit{
			head:  r.between(seenHeads, nearHeads-1),
			body:  r.below(bodies),
			limbs: r.below(allLimbs),
			tail:  r.below(tails),
			coat:  r.below(int(numPatterns)),

			bodyHue:   r.below(1536),
			accentHue: r.below(1536),
			keepsHead: true,
		}
		known := false
		for _, c := range knownClasses {
			known = known || k.matches(c.kit) > 1
		}
		if !known {
			return k
		}
	}
}

// vary replaces or drops parts as happens to every creature of every class. A
// creature without its head keeps all its other parts.
func (k kit) vary(r *random) kit {
	if r.percent(headMissing) && !k.keepsHead {
		k.head = missing
		return k
	}
	switch p := r.below(100); {
	case p < limbsMissing:
		k.limbs = missing
	case p < limbsMissing+limbsReplaced:
		k.limbs = r.below(seenLimbs)
	}
	switch p := r.below(100); {
	case p < tailMissing:
		k.tail = missing
	case p < tailMissing+tailReplaced:
		k.tail = r.below(seenTails)
	}
	if r.percent(bodyReplaced) {
		k.body = r.below(seenBodies)
	}
	if r.percent(coatReplaced) {
		k.coat = r.below(int(numPatterns))
	}
	return k
}

// Chances in percent.
const (
	headMissing   = 12
	limbsMissing  = 8
	limbsReplaced = 12
	tailMissing   = 12
	tailReplaced  = 15
	bodyReplaced  = 10
	coatReplaced  = 40
	hueReplaced   = 50
)

// Paints of a creature.
const (
	bodyPaint = iota
	headPaint
	accentPaint
	limbPaint
	tailPaint
	eyePaint
)

// Where the head sits on a creature.
const headX, headY = 560, -330

// build adds the shapes of a creature to d, back to front.
func (k kit) build(d *drawing, r *random) {
	jitter := func(n int) int { return r.between(-n, n) }
	d.tail(k.tail, -520+jitter(40), -40+jitter(70), r.between(210, 310))
	d.limbs(k.limbs, jitter(50), 230+jitter(40), r.between(215, 300))
	d.body(k.body, jitter(40), jitter(30), r.between(225, 295))
	if k.head != missing {
		d.head(k.head, headX+jitter(60), headY+jitter(60), r.between(225, 310))
	}
}

// scaled returns a function that scales object units by k/256.
func scaled(k int) func(int) int { return func(v int) int { return v * k / 256 } }

// head adds a head of the given kind around (x, y), k/256 times its usual size.
func (d *drawing) head(kind, x, y, k int) {
	m := scaled(k)
	X := func(v int) int { return x + m(v) }
	Y := func(v int) int { return y + m(v) }
	poly := func(p int, xy ...int) {
		for i := range xy {
			if i%2 == 0 {
				xy[i] = X(xy[i])
			} else {
				xy[i] = Y(xy[i])
			}
		}
		d.polygon(p, xy...)
	}
	const a = accentPaint
	skull := func() {
		d.ellipse(headPaint, x, y, m(230), m(215))
		d.ellipse(eyePaint, X(90), Y(-50), m(48), m(48))
	}
	switch kind {
	case 0: // two horns that curve up
		d.arc(a, X(210), Y(-330), m(190), m(190), 64, -40, m(75), m(25))
		d.arc(a, X(-210), Y(-330), m(190), m(190), 64, 168, m(75), m(25))
		skull()
	case 1: // a long beak and a plume
		d.line(a, X(-120), Y(-150), X(-460), Y(-250), m(34))
		poly(a, 120, -120, 720, 70, 120, 130)
		skull()
	case 2: // two round ears
		d.ellipse(a, X(-210), Y(-270), m(200), m(200))
		d.ellipse(a, X(190), Y(-290), m(190), m(190))
		skull()
	case 3: // a spiral over the side of the head
		skull()
		d.arc(a, X(-60), Y(-20), m(300), m(300), 170, 400, m(80), m(55))
		d.ellipse(a, X(-60), Y(-20), m(95), m(95))
	case 4: // a comb of three spikes
		poly(a, -260, -60, -300, -460, -120, -230, 0, -590, 110, -230, 290, -450, 250, -60)
		skull()
	case 5: // two antennae with knobs
		d.line(a, X(-40), Y(-160), X(-220), Y(-560), m(34))
		d.line(a, X(60), Y(-160), X(280), Y(-540), m(34))
		d.ellipse(a, X(-220), Y(-560), m(100), m(100))
		d.ellipse(a, X(280), Y(-540), m(100), m(100))
		skull()
	case 6: // two pointed ears and a snout
		poly(a, -250, -40, -270, -520, 10, -190)
		poly(a, -10, -190, 250, -520, 250, -40)
		poly(headPaint, 110, -110, 460, 110, 90, 180)
		skull()
	case 7: // a trunk and a flat ear
		skull()
		d.line(a, X(170), Y(10), X(390), Y(170), m(90))
		d.line(a, X(390), Y(170), X(420), Y(420), m(75))
		d.line(a, X(420), Y(420), X(610), Y(540), m(60))
		d.ellipse(a, X(-170), Y(20), m(170), m(250))
	case 8: // one long lance
		poly(a, 30, -200, 210, -110, 680, -640)
		skull()
	case 9: // a claw with two jaws
		d.arc(a, X(430), Y(-20), m(230), m(230), 128, 236, m(80), m(25))
		d.arc(a, X(430), Y(-20), m(230), m(230), 128, 20, m(80), m(25))
		skull()
	case 10: // a hat
		skull()
		d.line(a, X(-300), Y(-190), X(300), Y(-190), m(55))
		poly(a, -190, -200, -170, -560, 170, -560, 190, -200)
	case 11: // a halo
		h := d.ellipse(a, X(0), Y(-400), m(310), m(130))
		h.hole, h.hrx, h.hry = h.a, m(220), m(65)
		skull()
	case 12: // a hammer
		d.line(a, X(100), Y(0), X(380), Y(0), m(70))
		d.line(a, X(390), Y(-280), X(390), Y(280), m(100))
		skull()
	case 13: // a mane
		d.ellipse(a, X(-60), Y(-20), m(420), m(420))
		skull()
	case 14: // three prongs
		d.line(a, X(100), Y(-60), X(560), Y(-300), m(40))
		d.line(a, X(100), Y(0), X(620), Y(0), m(40))
		d.line(a, X(100), Y(60), X(560), Y(300), m(40))
		skull()
	case 15: // a pile of three balls
		d.ellipse(a, X(0), Y(-520), m(90), m(90))
		d.ellipse(a, X(0), Y(-370), m(130), m(120))
		d.ellipse(a, X(0), Y(-190), m(180), m(150))
		skull()
	case 16: // two tusks
		skull()
		d.line(a, X(50), Y(120), X(60), Y(560), m(60))
		d.line(a, X(210), Y(100), X(290), Y(530), m(55))
	case 17: // a hood
		poly(a, -110, -350, 110, -350, 470, -60, 150, 480, -150, 480, -470, -60)
		skull()
	case 18: // a spoon
		d.line(a, X(150), Y(20), X(560), Y(70), m(50))
		d.ellipse(a, X(640), Y(80), m(190), m(120))
		skull()
	case 19: // a lamp on a bent rod
		d.line(a, X(-30), Y(-150), X(90), Y(-560), m(34))
		d.line(a, X(90), Y(-560), X(480), Y(-560), m(34))
		d.ellipse(a, X(500), Y(-420), m(130), m(130))
		skull()
	default:
		panic("scenes: unknown head")
	}
}

// body adds a body around (x, y), k/256 times its usual size.
func (d *drawing) body(kind, x, y, k int) {
	m := scaled(k)
	const p = bodyPaint
	switch kind {
	case 0: // barrel
		d.ellipse(p, x, y, m(580), m(340))
	case 1: // box
		d.polygon(p, x-m(540), y-m(300), x+m(540), y-m(300), x+m(540), y+m(300), x-m(540), y+m(300))
	case 2: // dome
		s := d.ellipse(p, x, y+m(260), m(580), m(640))
		s.floored, s.floor = true, y+m(280)
	case 3: // chain
		d.ellipse(p, x-m(400), y+m(30), m(230), m(230))
		d.ellipse(p, x, y, m(270), m(270))
		d.ellipse(p, x+m(400), y-m(30), m(230), m(230))
	case 4: // kite
		d.polygon(p, x-m(620), y, x-m(60), y-m(400), x+m(620), y-m(40), x-m(60), y+m(380))
	case 5: // pyramid
		d.polygon(p, x-m(600), y+m(320), x, y-m(520), x+m(600), y+m(320))
	case 6: // ring
		s := d.ellipse(p, x, y, m(540), m(460))
		s.hole, s.hrx, s.hry = s.a, m(270), m(210)
	case 7: // hourglass on its side
		d.polygon(p, x-m(580), y-m(380), x, y-m(110), x+m(580), y-m(380), x+m(580), y+m(380), x, y+m(110), x-m(580), y+m(380))
	default:
		panic("scenes: unknown body")
	}
}

// limbs adds limbs that start at height y below (x, 0), k/256 times their
// usual size.
func (d *drawing) limbs(kind, x, y, k int) {
	m := scaled(k)
	const p = limbPaint
	switch kind {
	case missing:
	case 0: // four legs
		for _, lx := range [...]int{-430, -200, 170, 400} {
			d.line(p, x+m(lx), y-40, x+m(lx), y+m(400), m(68))
		}
	case 1: // two wheels
		for _, lx := range [...]int{-320, 320} {
			s := d.ellipse(p, x+m(lx), y+m(170), m(240), m(240))
			s.hole, s.hrx, s.hry = s.a, m(95), m(95)
		}
	case 2: // two fins
		for _, lx := range [...]int{-300, 260} {
			d.polygon(p, x+m(lx-170), y-60, x+m(lx+190), y-60, x+m(lx-240), y+m(440))
		}
	case 3: // three wavy feelers
		for _, lx := range [...]int{-360, 0, 360} {
			d.line(p, x+m(lx), y-40, x+m(lx+90), y+m(140), m(50))
			d.line(p, x+m(lx+90), y+m(140), x+m(lx-80), y+m(290), m(46))
			d.line(p, x+m(lx-80), y+m(290), x+m(lx+70), y+m(450), m(42))
		}
	case 4: // two stilts with feet
		for _, lx := range [...]int{-180, 220} {
			d.line(p, x+m(lx), y-40, x+m(lx), y+m(480), m(45))
			d.line(p, x+m(lx), y+m(480), x+m(lx+190), y+m(480), m(52))
		}
	case 5: // a rocker
		d.arc(p, x, y-m(160), m(620), m(520), 110, 18, m(65), m(65))
		d.line(p, x, y-40, x, y+m(330), m(60))
	case 6: // one broad foot
		d.polygon(p, x-m(160), y-60, x+m(160), y-60, x+m(520), y+m(330), x-m(520), y+m(330))
	default:
		panic("scenes: unknown limbs")
	}
}

// tail adds a tail that starts at (x, y) and goes back, k/256 times its usual
// size.
func (d *drawing) tail(kind, x, y, k int) {
	m := scaled(k)
	const p = tailPaint
	switch kind {
	case missing:
	case 0: // a tuft on a string
		d.line(p, x+60, y, x-m(330), y-m(200), m(38))
		d.ellipse(p, x-m(390), y-m(240), m(130), m(120))
	case 1: // a fork
		d.line(p, x+60, y, x-m(180), y-m(40), m(55))
		d.line(p, x-m(180), y-m(40), x-m(450), y-m(290), m(50))
		d.line(p, x-m(180), y-m(40), x-m(470), y+m(170), m(50))
	case 2: // a curl
		d.line(p, x+80, y, x-m(60), y, m(50))
		s := d.ellipse(p, x-m(230), y-m(110), m(220), m(220))
		s.hole, s.hrx, s.hry = s.a, m(120), m(120)
	case 3: // a fan
		d.polygon(p, x+90, y, x-m(330), y-m(380), x-m(460), y-m(60), x-m(360), y+m(260))
	case 4: // a zigzag
		d.line(p, x+80, y, x-m(120), y-m(200), m(48))
		d.line(p, x-m(120), y-m(200), x-m(250), y+m(60), m(48))
		d.line(p, x-m(250), y+m(60), x-m(470), y-m(180), m(48))
	case 5: // an arrow
		d.line(p, x+60, y, x-m(280), y-m(60), m(45))
		d.polygon(p, x-m(500), y-m(110), x-m(230), y-m(260), x-m(210), y+m(110))
	case 6: // beads
		d.ellipse(p, x-m(60), y-m(30), m(110), m(110))
		d.ellipse(p, x-m(230), y-m(110), m(95), m(95))
		d.ellipse(p, x-m(380), y-m(200), m(80), m(80))
	default:
		panic("scenes: unknown tail")
	}
}
