// Package pixels looks for the preprocessing with which a classifier is right most often, where
// nobody says which one it was trained with.
//
// The search goes step by step: range, mean and std first, then the order of the channels, how
// pictures are brought to the model's size, and the filter of the resize. Each step is a race from
// the best recipe so far: the others are tried on a few images that it gets wrong and a few that it
// gets right in turns, and one that can no longer be told, or lags behind another, is given up. What was
// chosen is then tested on images that had no part in the choice, so that neither the number of
// recipes nor the choice makes it look better than it is.
package pixels

import (
	"context"
	"fmt"
	"image"

	"cutmix-eval/imageproc"
)

// Outcome is what a model makes of one image.
type Outcome int8

// The outcomes.
const (
	Wrong Outcome = iota
	Right
	Bad // the image cannot be read
)

// Try runs the model on the images at, prepared by a recipe; the outcomes are in their order.
type Try func(ctx context.Context, r imageproc.Recipe, at []int) ([]Outcome, error)

// Search is what to look for, and with what.
type Search struct {
	Present imageproc.Recipe
	Size    imageproc.Size // of the images that the model sees
	// Choose are the images to choose on, classes mixed, Confirm those to test the choice on. They
	// have none in common.
	Choose, Confirm []int
	Try             Try
	// Sizes gives those of the pictures that were tried so far, each once, or at least one: recipes
	// that make the same of all of them are tried once. It is called after the first Try.
	Sizes func() []image.Point
	// Coarse is for a look beside something else: it leaves out what costs a point or two at most, mean
	// and std that make nearly what others make that were tried (the statistics of one set of photographs
	// for those of another) and filters of the resize, and tries one recipe of each later step on all
	// images of the choice.
	Coarse bool
	// Progress, if not nil, is called with how many images the model has run on so far.
	Progress func(images int)
}

// What is told, and when.
const (
	// Level is the largest p-value that counts.
	Level = 0.01
	// obvious is the p-value below which the test ends before it has seen all images. It has four such
	// looks, and only a gain counts, which halves what chance does: four times half of it and half of
	// Level are together below Level.
	obvious = 1e-4
	// Margin is the least gain that matters, as a share of the images.
	Margin = 0.02
	// easily is the p-value from which a gain is taken for chance, among recipes that are better
	// than the present one.
	easily = 0.2
	// fewest is the least number of images that can show anything at that level: with seven
	// images that only one of two recipes gets right, p is 2^-6, with eight 2^-7.
	fewest = 8
	// part is the number of images after which recipes are compared in a race, firstHalf the one after which
	// half of them are given up, if they were not before.
	part, firstHalf = 4, 32
	// firstLook is the number of images after which the test may end.
	firstLook = 25
)

// Trial is a recipe that was tried.
type Trial struct {
	Name    string // what it changes, in words
	Recipe  imageproc.Recipe
	Hits, N int // images of the choice: right, and all that it was tried on
	// Tried on some of the images only, a recipe was given up: those that the present one gets wrong are
	// more of them than of all, so that Hits are no accuracy. Gained of Wrong are right with this recipe
	// and wrong with the present one, Lost of N less Wrong the other way around.
	Gained, Lost, Wrong int
}

// Test compares the recipe that was chosen with the present one on other images than those that
// it was chosen on.
type Test struct {
	N             int
	Present, Best int // images that each gets right
	OnlyPresent   int // images that only one of them gets right
	OnlyBest      int
	P             float64 // of McNemar's exact test, two-sided
}

// Result is what a search found.
type Result struct {
	Trials []Trial // the present recipe first, the others in the order in which they were tried
	Best   int     // index of the trial with the most images right; 0: the present one
	Test   *Test   // of the best one; nil where it is the present one, or gains too little
	Bad    int     // images that could not be read, and are not counted
	Images int     // that the model ran on, each as often as it did
}

// Better says whether the best recipe is better than the present one, by what is known of images
// that had no part in the choice.
func (r *Result) Better() bool {
	t := r.Test
	return t != nil && t.P < Level && float64(t.Best-t.Present) >= Margin*float64(t.N)
}

// Chosen is the best trial.
func (r *Result) Chosen() Trial { return r.Trials[r.Best] }

// Present is the trial of the present recipe.
func (r *Result) Present() Trial { return r.Trials[0] }

// Advice is what to tell of a result, in one sentence; empty where there is nothing better.
func (r *Result) Advice() string {
	if !r.Better() {
		return ""
	}
	t, best := r.Test, r.Chosen()
	percent := func(hits int) float64 { return 100 * float64(hits) / float64(t.N) }
	return fmt.Sprintf("other pixels fit the model better: %s, the best of %d ways that were tried on up to %d images, gets %.2f %% right instead of %.2f %%, "+
		"on %d images that had no part in the choice (%d are right with it alone, %d as now alone; McNemar's exact test: p = %.2g); if that is how it was trained, give %s",
		best.Name, len(r.Trials), best.N, percent(t.Best), percent(t.Present), t.N, t.OnlyBest, t.OnlyPresent, t.P, Flags(best.Recipe))
}
