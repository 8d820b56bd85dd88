package model

import "fmt"

// Tap returns the model with the named tensors among its outputs, as float32; those
// that are such outputs already stay. The scores are what they were.
func (m *Model) Tap(tensors ...string) (*Model, error) {
	f, err := m.file.Tap(tensors...)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", m.Name, err)
	}
	e, err := m.edited(f, "")
	if err != nil {
		return nil, err
	}
	e.head = m.head
	return e, nil
}
