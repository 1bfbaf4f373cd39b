package tokenizer

import (
	"fmt"
	"math"
	"strings"
)

// attr says what a token is for. A token may have several bits.
type attr uint8

const (
	attrNormal  attr = 1 << iota
	attrUnknown      // stands for text without a token
	attrControl      // is not text
	attrUser         // is found in text before anything else
	attrByte         // "<0x41>": a byte
	attrUnused
	attrLStrip // takes white space before it along
	attrRStrip // takes white space after it along
)

// attrOfType maps tokenizer.ggml.token_type.
var attrOfType = [...]attr{
	1: attrNormal,
	2: attrUnknown,
	3: attrControl,
	4: attrUser,
	5: attrUnused,
	6: attrByte,
}

// none is the id of a token that the vocabulary does not have.
const none = -1

// Role is what a special token is for.
type Role uint8

// The roles of special tokens.
const (
	BOS    Role = iota // beginning of the sequence, [CLS] in BERT
	EOS                // end of the sequence
	EOT                // end of a turn
	EOM                // end of a message, when more follow
	UNK                // unknown text
	SEP                // separator
	PAD                // padding
	Mask               // masked text
	FIMPre             // fill in the middle: before the prefix
	FIMSuf             // before the suffix
	FIMMid             // before the middle
	FIMPad             // padding
	FIMRep             // before the name of a repository
	FIMSep             // between files
	numRoles
)

// roles holds for each Role the keys that name its token, the later ones outranking the earlier, and the
// texts by which llama.cpp knows the token where no key names it. Of several texts in one vocabulary the
// first is taken.
var roles = [numRoles]struct {
	keys  []string
	texts []string
}{
	BOS: {keys: []string{"tokenizer.ggml.bos_token_id"}},
	EOS: {keys: []string{"tokenizer.ggml.eos_token_id"}},
	EOT: {keys: []string{"tokenizer.ggml.eot_token_id"}, texts: []string{
		"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]",
		"<｜end▁of▁sentence｜>", "<end_of_utterance>",
	}},
	EOM:  {keys: []string{"tokenizer.ggml.eom_token_id"}, texts: []string{"<|eom_id|>"}},
	UNK:  {keys: []string{"tokenizer.ggml.unknown_token_id"}},
	SEP:  {keys: []string{"tokenizer.ggml.seperator_token_id"}}, // spelled so in GGUF
	PAD:  {keys: []string{"tokenizer.ggml.padding_token_id"}},
	Mask: {keys: []string{"tokenizer.ggml.mask_token_id"}},
	FIMPre: {keys: []string{"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"}, texts: []string{
		"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>",
	}},
	FIMSuf: {keys: []string{"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"}, texts: []string{
		"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>",
	}},
	FIMMid: {keys: []string{"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"}, texts: []string{
		"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>",
	}},
	FIMPad: {keys: []string{"tokenizer.ggml.fim_pad_token_id"}, texts: []string{
		"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]",
	}},
	FIMRep: {keys: []string{"tokenizer.ggml.fim_rep_token_id"}, texts: []string{
		"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>",
	}},
	FIMSep: {keys: []string{"tokenizer.ggml.fim_sep_token_id"}, texts: []string{"<|file_sep|>"}},
}

// endTexts are the texts of tokens that end a generation, besides those that a role makes so.
var endTexts = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
	"<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>",
	"<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
}

// userTexts are control tokens of harmony that llama.cpp treats as text.
var userTexts = []string{"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}

// defaultSpecials are the ids that a kind of vocabulary has where no key names them.
func (t *Tokenizer) defaultSpecials(pre preTokenizer) {
	for role := range t.special {
		t.special[role] = none
	}
	switch {
	case t.kind == SPM:
		t.setDefault(BOS, 1)
		t.setDefault(EOS, 2)
		t.setDefault(UNK, 0)
	case t.kind == WPM:
		t.setDefault(BOS, 101)
		t.setDefault(UNK, 100)
		t.setDefault(SEP, 102)
		t.setDefault(PAD, 0)
		t.setDefault(Mask, 103)
	case t.model == modelBPE:
		if !pre.noBOS {
			t.setDefault(BOS, 11)
		}
		t.setDefault(EOS, 11)
	}
}

func (t *Tokenizer) setDefault(role Role, id int32) {
	if int(id) < len(t.texts) {
		t.special[role] = id
	}
}

// loadSpecials finds the special tokens and what ends a generation.
func (t *Tokenizer) loadSpecials(r *reader, pre preTokenizer) {
	t.defaultSpecials(pre)
	for role, x := range roles {
		for _, key := range x.keys {
			t.special[role] = t.roleID(r, Role(role), key)
		}
		for _, text := range x.texts {
			if id, ok := t.ids.get(text); ok && t.special[role] == none {
				t.special[role] = id
				t.attrs[id] |= attrControl
			}
		}
	}
	t.loadEnds()
	for _, text := range userTexts {
		if id, ok := t.ids.get(text); ok {
			t.attrs[id] = attrUser
		}
	}
}

// roleID returns the id that key names for role. One outside the vocabulary is an error where encoding needs
// the role, else it is noted and left out: files with such a padding token are common.
func (t *Tokenizer) roleID(r *reader, role Role, key string) int32 {
	old := t.special[role]
	id := readKey(r, key, r.meta.Int, int64(old))
	switch {
	case id == none || id == math.MaxUint32: // what converters write for no token
		return none
	case id >= 0 && id < int64(len(t.texts)):
		return int32(id)
	case role == BOS || role == EOS || role == UNK || role == SEP:
		r.fail(key, fmt.Sprintf("token %d", id), fmt.Sprintf("0 to %d", len(t.texts)-1))
	default:
		t.note("%s is %d, outside the vocabulary of %d tokens: left out", key, id, len(t.texts))
	}
	return old
}

// loadEnds derives the set of tokens that end a generation.
func (t *Tokenizer) loadEnds() {
	t.ends = make(map[int32]bool)
	for _, text := range endTexts {
		if id, ok := t.ids.get(text); ok {
			t.ends[id] = true
			t.attrs[id] |= attrControl
		}
	}
	for _, role := range []Role{FIMPad, FIMRep, FIMSep, EOS, EOT, EOM} {
		if id := t.special[role]; id != none {
			t.ends[id] = true
		}
	}
	// In harmony and in Solar <|end|> only ends a message, and more follow.
	call := t.isEndText("<|call|>") || t.isEndText("<|calls|>")
	if call && (t.isEndText("<|return|>") || t.isEndText("<|flush|>")) {
		t.dropEnd("<|end|>", attrUser)
	}
	// In Gemma 4 </s> is a tag of HTML.
	if t.isEndText("<|tool_response>") {
		t.dropEnd("</s>", attrNormal)
	}
}

func (t *Tokenizer) isEndText(text string) bool {
	id, ok := t.ids.get(text)
	return ok && t.ends[id]
}

func (t *Tokenizer) dropEnd(text string, a attr) {
	if id, ok := t.ids.get(text); ok && t.ends[id] {
		delete(t.ends, id)
		t.attrs[id] = a
	}
}

// loadStrips marks the tokens that take white space along. GGUF does not say which; llama.cpp knows the
// models by name.
func (t *Tokenizer) loadStrips(r *reader) {
	name := strings.ToLower(r.string(keyName, ""))
	arch := r.string(keyArchitecture, "")
	switch {
	case containsAny(t.pre, "jina-v2-de", "jina-v2-es", "jina-v2-code"), containsAny(arch, "nomic-bert-moe", "jina-bert-v3"):
		t.addAttr("<mask>", attrLStrip)
	case containsAny(name, "phi-3", "phi3"):
		for i, a := range t.attrs {
			if a&(attrControl|attrUser|attrUnknown) != 0 {
				t.attrs[i] |= attrRStrip
			}
		}
		t.addAttr("</s>", attrRStrip)
		for _, text := range []string{"<unk>", "<s>", "<|endoftext|>"} {
			if id, ok := t.ids.get(text); ok {
				t.attrs[id] &^= attrRStrip
			}
		}
	case strings.Contains(name, "modern-bert"):
		t.addAttr("[MASK]", attrLStrip)
	}
}

func (t *Tokenizer) addAttr(text string, a attr) {
	if id, ok := t.ids.get(text); ok {
		t.attrs[id] |= a
	}
}

func containsAny(s string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}
