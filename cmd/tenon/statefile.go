package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tenon-go/tenon"
)

// stateFile is the file of --state: read before a text, if it is there, and written anew at its end.
type stateFile struct {
	path string
	old  *os.File // nil if there is none
	next *os.File
}

// openStateFile opens the file at path and one beside it that replaces it in the end.
func openStateFile(path string) (s *stateFile, err error) {
	s = &stateFile{path: path}
	if s.old, err = os.Open(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if s.next, err = os.Create(path + ".partial"); err != nil {
		return nil, errors.Join(err, s.close(false))
	}
	return s, nil
}

// set has a text restored from the old file, if there is one, and saved to the new one.
func (s *stateFile) set(opt *tenon.GenerateOptions) {
	if s.old != nil {
		opt.Restore = s.old
	}
	opt.Save = s.next
}

// close puts the new file in the place of the old one if the text came to its end, and removes it otherwise.
func (s *stateFile) close(complete bool) error {
	var errs []error
	if s.old != nil {
		errs = append(errs, s.old.Close())
	}
	if s.next == nil {
		return errors.Join(errs...)
	}
	err := s.next.Close()
	if err == nil && complete {
		err = os.Rename(s.next.Name(), s.path)
	} else {
		err = errors.Join(err, os.Remove(s.next.Name()))
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("--state: %w", err))
	}
	return errors.Join(errs...)
}
