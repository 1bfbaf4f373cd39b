package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestMain makes this binary a peer, too: with fakePeer set it behaves as llama-bench does.
func TestMain(m *testing.M) {
	if mode := os.Getenv(fakePeer); mode != "" {
		os.Exit(bePeer(mode, os.Args[1:]))
	}
	os.Exit(m.Run())
}

const fakePeer = "TENON_FAKE_PEER"

// bePeer prints what llama-bench prints for its arguments, with made-up times.
func bePeer(mode string, args []string) int {
	flags := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	if log := os.Getenv(fakePeer + "_LOG"); log != "" {
		f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return 3
		}
		fmt.Fprintln(f, strings.Join(args, " "))
		if f.Close() != nil {
			return 3
		}
	}
	prompt, gen := flags["-p"], flags["-n"]
	if pg, ok := flags["-pg"]; ok {
		prompt, gen, _ = strings.Cut(pg, ",")
	}
	depth := flags["-d"]
	if depth == "" {
		depth = "0"
	}
	switch mode {
	case "fail":
		fmt.Fprintln(os.Stderr, "loading\nerror: failed to load model")
		return 1
	case "noise":
		fmt.Println("no JSON at all")
		return 0
	case "other":
		prompt = "99999"
	}
	if _, err := os.Stat(flags["-m"]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tokens, _ := strconv.Atoi(prompt)
	n, _ := strconv.Atoi(gen)
	ns := (tokens + n) * 1000 // a million tokens a second
	fmt.Printf(`warning: something about a driver
[
  {"build_commit": "abc123", "build_number": 77, "backends": "CPU", "model_type": "fake", "n_threads": %s,
   "n_prompt": %s, "n_gen": %s, "n_depth": %s, "avg_ns": %d, "avg_ts": 1e6, "samples_ns": [ %d ], "samples_ts": [ 1e6 ]}
]
`, flags["-t"], prompt, gen, depth, ns, ns)
	return 0
}
