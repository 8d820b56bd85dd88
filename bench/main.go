// Command bench measures what the whole way from files to results costs beside
// ONNX Runtime alone and beside the Python way, on the same images, in turns
// within one run, so that a machine whose speed drifts still gives fair ratios.
// README.md in this folder has the method and measured tables.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/pipeline"
)

func main() {
	c := evaluation.DefaultConfig()
	rounds := flag.Int("rounds", 3, "rounds; the median is printed")
	python := flag.String("python", "", "Python with torch and torchvision, to run python_way.py as well")
	torchModel := flag.String("torch-model", "resnet50", "model of torchvision that python_way.py runs")
	repeat := flag.Int("repeat", 1, "how often a round goes over the images")
	recipe := flag.String("recipe", "", "named preprocessing")
	flag.StringVar(&c.Model, "model", c.Model, "ONNX file or embedded model")
	flag.StringVar(&c.Data, "data", c.Data, "images")
	flag.IntVar(&c.Batch, "batch", 0, "images a run")
	flag.IntVar(&c.Threads, "threads", 0, "threads of the model")
	flag.IntVar(&c.Workers, "workers", 0, "decoders")
	flag.IntVar(&c.Limit, "limit", 0, "images")
	flag.Parse()
	c.Recipe = *recipe
	if err := run(context.Background(), c, *rounds, max(*repeat, 1), *python, *torchModel); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c evaluation.Config, rounds, repeat int, python, torchModel string) error {
	s, err := evaluation.Open(ctx, c, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	var all []int
	for range repeat {
		for i := range s.Data.Samples {
			all = append(all, i)
		}
	}
	n := len(all)
	way := s.Pipeline(nil)
	way.Images = way.Images.Subset(all)
	fmt.Printf("model %s, %d images of %s, %d threads, %d decoders, batch %d\n", s.Model.Name, n, s.Data.Name, s.Session.Threads, s.Workers, s.Batch)
	var alone, whole, load, wait, py []float64
	for range rounds {
		a, err := modelAlone(ctx, s, n)
		if err != nil {
			return err
		}
		stats, err := pipeline.Run(ctx, way, func(pipeline.Result) error { return nil })
		if err != nil {
			return err
		}
		alone = append(alone, a)
		whole = append(whole, float64(n)/stats.Wall.Seconds())
		load = append(load, 1000*stats.Load.Seconds()/float64(n))
		wait = append(wait, stats.Wait.Seconds()/stats.Wall.Seconds())
		if python != "" {
			p, err := pythonWay(ctx, python, torchModel, c.Data)
			if err != nil {
				return err
			}
			py = append(py, p)
		}
	}
	ratio := make([]float64, rounds)
	for i := range ratio {
		ratio[i] = whole[i] / alone[i]
	}
	fmt.Printf("ONNX Runtime alone  %8.1f images/s\n", median(alone))
	fmt.Printf("files to results    %8.1f images/s, %.3f of ONNX Runtime alone (rounds: %.3f)\n", median(whole), median(ratio), ratio)
	fmt.Printf("  reading, decoding, resizing  %.2f ms per image and decoder; the model waited %.1f %% of the time\n", median(load), 100*median(wait))
	for i := range py {
		ratio[i] = whole[i] / py[i]
	}
	if python != "" {
		fmt.Printf("Python way          %8.1f images/s; files to results is %.2f times as fast (rounds: %.2f)\n", median(py), median(ratio), ratio)
	}
	return stages(s)
}

// modelAlone runs the model on batches that lie in memory.
func modelAlone(ctx context.Context, s *evaluation.Setup, n int) (float64, error) {
	b, err := s.Session.NewBatch(min(s.Batch, n))
	if err != nil {
		return 0, err
	}
	defer b.Close()
	for i := range b.Size() { // real pixels: zeros can be faster
		t, err := imageproc.NewTransform(s.Recipe)
		if err != nil {
			return 0, err
		}
		img, err := s.Data.Loader().Load(i % len(s.Data.Samples))
		if err != nil {
			return 0, err
		}
		if err := t.Apply(img, b.Slot(i)); err != nil {
			return 0, err
		}
	}
	if err := b.Run(ctx, b.Size()); err != nil {
		return 0, err
	}
	debug.FreeOSMemory()
	start := time.Now()
	for at := 0; at < n; at += b.Size() {
		if err := b.Run(ctx, min(b.Size(), n-at)); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// stages times reading, decoding and transforming on one goroutine, with
// nothing else running.
func stages(s *evaluation.Setup) error {
	l := s.Data.Loader()
	t, err := imageproc.NewTransform(s.Recipe)
	if err != nil {
		return err
	}
	n := min(len(s.Data.Samples), 500)
	dst := []float32(nil)
	var decode, transform time.Duration
	for i := range n {
		start := time.Now()
		img, err := l.Load(i)
		if err != nil {
			continue
		}
		decode += time.Since(start)
		g := s.Recipe.Geometry(img.W, img.H)
		if need := 3 * g.CropW * g.CropH; len(dst) != need {
			dst = make([]float32, need)
		}
		start = time.Now()
		if err := t.Apply(img, dst); err != nil {
			return err
		}
		transform += time.Since(start)
	}
	fmt.Printf("alone on one core   read and decode %.2f ms, resize, crop and normalise %.2f ms per image\n",
		decode.Seconds()*1000/float64(n), transform.Seconds()*1000/float64(n))
	return nil
}

func pythonWay(ctx context.Context, python, model, data string) (float64, error) {
	cmd := exec.CommandContext(ctx, python, filepath.Join("bench", "python_way.py"), model, data)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("running python_way.py: %w", err)
	}
	var r struct {
		ImagesPerSecond float64 `json:"images_per_s"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return 0, fmt.Errorf("reading what python_way.py printed: %w", err)
	}
	return r.ImagesPerSecond, nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
