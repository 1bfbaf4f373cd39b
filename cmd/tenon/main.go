// Command tenon runs GGUF models: text, logits and token ids come out, and what a model, a device or a
// plan is like can be looked at. `tenon --help` lists the subcommands.
//
// Every subcommand ends with exit code 0, or with exit code 1 and one line on stderr that says why. A run
// that is interrupted ends with 128 and the number of the signal, 130 for Ctrl-C.
package main

import "os"

func main() {
	useCompilers()
	os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
