package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync/atomic"

	"github.com/spf13/cobra"
)

// benchBusyCommand is what --busy starts: a process that keeps a core busy until its stdin ends, which it
// does with the process that started it, however that goes.
func (a *app) benchBusyCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "busy",
		Short:  "Keep a core busy until stdin ends",
		Hidden: true,
		Args:   wantArgs(),
		RunE: func(*cobra.Command, []string) error {
			var over atomic.Bool
			go func() {
				_, _ = io.Copy(io.Discard, a.stdin) // an error is an end, too
				over.Store(true)
			}()
			for x := uint64(1); !over.Load(); {
				for range 1 << 16 {
					x = x*6364136223846793005 + 1442695040888963407
				}
				if x == 0 {
					return errors.New("the generator has met its only fixed point") // keeps the loop
				}
			}
			return nil
		},
	}
}

// keepBusy starts n processes that keep a core busy each, and returns what ends them.
func keepBusy(n int) (idle func() error, err error) {
	var ends []func() error
	idle = func() error {
		var errs []error
		for _, end := range ends {
			errs = append(errs, end())
		}
		return errors.Join(errs...)
	}
	if n == 0 {
		return idle, nil
	}
	self, err := os.Executable()
	if err != nil {
		return idle, err
	}
	for range n {
		cmd := exec.Command(self, "bench", "busy")
		cmd.Args[0] = os.Args[0]
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return idle, err
		}
		if err := cmd.Start(); err != nil {
			return idle, err
		}
		ends = append(ends, func() error { return errors.Join(stdin.Close(), cmd.Wait()) })
	}
	return idle, nil
}
