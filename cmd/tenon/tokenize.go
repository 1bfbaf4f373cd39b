package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tokenizer"
)

// tokenizeFlags are the flags of tenon tokenize.
type tokenizeFlags struct {
	path   string
	encode tokenizer.EncodeOptions
	decode bool
}

func (a *app) tokenizeCommand() *cobra.Command {
	t := &tokenizeFlags{}
	cmd := &cobra.Command{
		Use:   "tokenize -m FILE",
		Short: "Turn text into token ids, or back",
		Long: `Turn the text on stdin into token ids: one JSON array on stdout. All of stdin is the text, a line end at
its end included. With --decode it is the other way round, and the bytes on stdout need not be UTF-8.

The model may be one that holds a vocabulary alone.`,
		Example: `  printf 'Once upon a time' | tenon tokenize -m model.gguf
  echo '[403, 407]' | tenon tokenize -m model.gguf --decode`,
		Args: wantArgs(),
		RunE: func(*cobra.Command, []string) error { return a.tokenize(t) },
	}
	addModelFile(cmd, &t.path)
	f := cmd.Flags()
	f.BoolVar(&t.encode.AddSpecial, "add-special", false, "add the tokens that the model wants around a text, such as BOS")
	f.BoolVar(&t.encode.ParseSpecial, "parse-special", false, "take the names of control tokens in the text for the tokens")
	f.BoolVar(&t.decode, "decode", false, "turn a JSON array of ids on stdin into text")
	return cmd
}

func (a *app) tokenize(t *tokenizeFlags) error {
	if t.path == "" {
		return usagef("no model is given: -m FILE")
	}
	if t.decode && (t.encode.AddSpecial || t.encode.ParseSpecial) {
		return usagef("--decode does not go with --add-special or --parse-special")
	}
	f, err := gguf.Open(t.path)
	if err != nil {
		return err
	}
	defer f.Close()
	tok, err := tokenizer.New(f.Metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	for _, note := range tok.Notes() {
		fmt.Fprintf(a.stderr, "note: %s\n", note)
	}
	input, err := io.ReadAll(a.stdin)
	if err != nil {
		return fmt.Errorf("reading stdin: %w", err)
	}
	if t.decode {
		return a.decode(tok, input)
	}
	ids, err := tok.Encode(string(input), t.encode)
	if err != nil {
		return err
	}
	// One line: the array is for programs, and long ones are for them alone.
	line, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", line)
	return err
}

func (a *app) decode(tok *tokenizer.Tokenizer, input []byte) error {
	ids, err := parseJSONIDs(input)
	if err != nil {
		return err
	}
	text, err := tok.Decode(ids, tokenizer.DecodeOptions{})
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(text)
	return err
}
