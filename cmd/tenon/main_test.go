package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/tensor"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tenon": main})
}

// TestScripts runs the command as people do. Beside testscript's own commands there are those below.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(2 * time.Minute), // a command that hangs is killed with its stacks
		Setup: func(env *testscript.Env) error {
			// A process under the race detector else sleeps a second before it ends.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Setenv("TENON_NO_VULKAN", "1") // the same on every machine; vulkan.txtar takes it back
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "vulkan" {
				return false, fmt.Errorf("no condition %q", cond)
			}
			_, err := backends.Open("Vulkan0")
			return err == nil || os.Getenv("TENON_DEMAND_VULKAN") != "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails":     scriptFails,
			"join":      scriptJoin,
			"tinymodel": scriptTinyModel,
			"truncate":  scriptTruncate,
			"size":      scriptSize,
		},
	})
}

// scriptFails runs a command that must end with exit code 1 and one line on stderr, which begins with
// "tenon: " and matches a pattern:
//
//	fails PATTERN tenon ARGS...
func scriptFails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails pattern program [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		ts.Fatalf("%v, want exit code 1", err)
	}
	stderr := ts.ReadFile("stderr")
	if fault := notOneLine(stderr); fault != "" {
		ts.Fatalf("%s: %q", fault, stderr)
	}
	if ok, err := regexp.MatchString(args[0], stderr); err != nil || !ok {
		ts.Fatalf("stderr %q does not match %q (%v)", stderr, args[0], err)
	}
}

// scriptJoin puts a file, or stdout, at the end of another:
//
//	join FILE MORE
func scriptJoin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: join file more")
	}
	text := ts.ReadFile(args[0]) + ts.ReadFile(args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// notOneLine returns what is wrong with the stderr of a command that failed.
func notOneLine(stderr string) string {
	switch {
	case !strings.HasPrefix(stderr, "tenon: "):
		return "stderr does not begin with its name"
	case strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n"):
		return "stderr is not one line"
	}
	return ""
}

// scriptTinyModel writes a model of random weights:
//
//	tinymodel FILE [arch=NAME] [embd=N] [ff=N] [context=N] [layers=N] [vocab=N] [experts=N] [type=TYPE] [tied]
//		[drop=TENSOR] [reshape=TENSOR] [KEY:=TEXT]
func scriptTinyModel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: tinymodel file [name=value...]")
	}
	c, err := tinyConfig(args[1:])
	ts.Check(err)
	ts.Check(tinymodel.WriteFile(ts.MkAbs(args[0]), c))
}

func tinyConfig(args []string) (tinymodel.Config, error) {
	var c tinymodel.Config
	var drop, reshape string
	texts := map[string]string{}
	for _, arg := range args {
		if key, text, ok := strings.Cut(arg, ":="); ok {
			texts[key] = text
			continue
		}
		name, value, _ := strings.Cut(arg, "=")
		numbers := map[string]*int{
			"context": &c.Context, "layers": &c.Layers, "vocab": &c.Vocab, "experts": &c.Experts,
			"embd": &c.Embd, "ff": &c.FeedForward,
		}
		if number, ok := numbers[name]; ok {
			var err error
			if *number, err = strconv.Atoi(value); err != nil {
				return c, err
			}
			continue
		}
		switch name {
		case "arch":
			c.Arch = value
		case "type":
			t, ok := tensor.ParseDType(value)
			if !ok {
				return c, fmt.Errorf("no type %q", value)
			}
			c.Type = t
		case "tied":
			c.TiedEmbedding = true
		case "drop":
			drop = value
		case "reshape":
			reshape = value
		default:
			return c, fmt.Errorf("no setting %q", name)
		}
	}
	c.Meta = func(m *gguf.Metadata) {
		for key, text := range texts {
			m.Set(key, gguf.ValueOf(text))
		}
	}
	c.Tensors = func(all []gguf.TensorSource) []gguf.TensorSource {
		for i := range all {
			if all[i].Name == reshape {
				all[i].Shape[0], all[i].Shape[1] = all[i].Shape[1], all[i].Shape[0]
			}
		}
		return slices.DeleteFunc(all, func(t gguf.TensorSource) bool { return t.Name == drop })
	}
	return c, nil
}

// scriptTruncate cuts a file:
//
//	truncate FILE BYTES
func scriptTruncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: truncate file bytes")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

// scriptSize checks the size of a file:
//
//	size FILE BYTES
func scriptSize(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] size file bytes")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	if have := len(ts.ReadFile(args[0])); (have == want) == neg {
		ts.Fatalf("%s has %d bytes", args[0], have)
	}
}
