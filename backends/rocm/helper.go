//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync/atomic"

	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
)

// hiprtc compiles one kernel at a time in a process, so that other processes are what makes it faster: copies of a program that has said
// so by UseCompilers.

// job is what such a process is asked, and answer what it says.
type job struct {
	Major   int // of the runtime
	Name    string
	Source  string
	Headers map[string]string
	Arch    string
	Options []string
}

type answer struct {
	Code  []byte
	Error string // what went wrong, or empty
	Log   string // of the compiler
}

var helperCommand atomic.Pointer[[]string]

// UseCompilers has kernels compiled by processes of a command, several at a time, each of which calls ServeCompiler: the program itself with
// an argument that makes it do so. Without a command, and where it fails, kernels are compiled in this process.
func UseCompilers(command ...string) { helperCommand.Store(&command) }

// ServeCompiler compiles what another process of this program asks for, until in ends.
func ServeCompiler(in io.Reader, out io.Writer) error {
	var rt *hip.Runtime
	dec, enc := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var j job
		if err := dec.Decode(&j); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("rocm: reading what to compile: %w", err)
		}
		if rt == nil || rt.Major != j.Major {
			var err error
			if rt, err = hip.OpenCompiler(j.Major); err != nil {
				return fmt.Errorf("rocm: %w", err)
			}
		}
		var a answer
		code, err := rt.Compile(j.Name, j.Source, j.Headers, j.Arch, j.Options)
		var failed *hip.CompileError
		switch {
		case errors.As(err, &failed):
			a = answer{Error: failed.Err.Error(), Log: failed.Log}
		case err != nil:
			a = answer{Error: err.Error()}
		default:
			a = answer{Code: code}
		}
		if err := enc.Encode(a); err != nil {
			return fmt.Errorf("rocm: telling what was compiled: %w", err)
		}
	}
}

// helper is a process that compiles.
type helper struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *gob.Encoder
	dec *gob.Decoder
}

// startHelper returns nil where there is no command, or it does not start.
func startHelper() *helper {
	command := helperCommand.Load()
	if command == nil || len(*command) == 0 {
		return nil
	}
	h := &helper{cmd: exec.Command((*command)[0], (*command)[1:]...)}
	in, err := h.cmd.StdinPipe()
	if err != nil {
		return nil
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil || h.cmd.Start() != nil {
		return nil
	}
	h.in, h.enc, h.dec = in, gob.NewEncoder(in), gob.NewDecoder(out)
	return h
}

// compile returns an error of the compiler as it is, and ok false where the process is of no use any more.
func (h *helper) compile(j job) (code []byte, err error, ok bool) {
	var a answer
	if h.enc.Encode(j) != nil || h.dec.Decode(&a) != nil {
		return nil, nil, false
	}
	if a.Error != "" {
		return nil, &hip.CompileError{Name: j.Name, Arch: j.Arch, Log: a.Log, Err: errors.New(a.Error)}, true
	}
	return a.Code, nil, true
}

// stop ends the process.
func (h *helper) stop() {
	_ = h.in.Close() // ends what it reads, and with it the process
	_ = h.cmd.Wait() // however it ended, there is nothing left to do
}
