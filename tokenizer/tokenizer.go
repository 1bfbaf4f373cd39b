package tokenizer

import (
	"fmt"
	"sync"
)

// Kind is how a vocabulary is applied to text.
type Kind uint8

// The kinds of vocabulary.
const (
	SPM Kind = iota // SentencePiece BPE: characters merged by score, with byte fallback
	BPE             // byte-pair encoding of words, merged by rank
	WPM             // WordPiece of BERT
)

func (k Kind) String() string {
	switch k {
	case SPM:
		return "SPM"
	case BPE:
		return "BPE"
	case WPM:
		return "WPM"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// The values of tokenizer.ggml.model.
const (
	modelSPM    = "llama"
	modelBPE    = "gpt2"
	modelGemma4 = "gemma4" // BPE with a pre-tokenizer of its own
	modelWPM    = "bert"
)

// Tokenizer turns text into token ids and back. It is safe for concurrent use.
type Tokenizer struct {
	kind  Kind
	model string
	pre   string
	notes []string

	texts  []string // by id, as in the file
	ids    textTable
	attrs  []attr // by id
	pieces pieces // by id, what decoding gives

	special [numRoles]int32 // none where the vocabulary has no such token
	ends    map[int32]bool
	all     specialTrie // every special token
	user    specialTrie // those that are found in plain text too

	addBOS, addEOS bool
	spacePrefix    bool // a space is put before text and taken off when decoding
	escapeSpaces   bool // spaces are U+2581 in the vocabulary
	cleanSpaces    bool

	bpe     *bpe
	spm     *spm
	wpm     *wpm
	joins   *joinSet   // where characters are the symbols: which may merge
	ofOne   [256]int32 // there, the token of a word of one byte, or none
	cache   *wordCache
	scratch sync.Pool
}

// New reads the tokenizer of a model file. It checks all counts and ids; the errors are an UnsupportedError
// for a model or pre-tokenizer that is not known, and a MetadataError for everything else.
func New(meta Metadata) (*Tokenizer, error) {
	loadClasses()
	r := &reader{meta: meta}
	t := &Tokenizer{cache: newWordCache()}
	t.scratch.New = func() any { return new(scratch) }

	pre, err := t.loadKind(r)
	if err != nil {
		return nil, err
	}
	t.texts, t.ids = r.tokens()
	if r.err != nil {
		return nil, r.err
	}
	t.attrs = r.attrs(len(t.texts))
	if r.err != nil {
		return nil, r.err
	}
	t.loadSpecials(r, pre)
	t.loadFlags(r, pre)
	t.loadVocabulary(r, pre)
	if r.err != nil {
		return nil, r.err
	}
	t.all = t.newSpecialTrie(attrControl|attrUnknown|attrUser, 0)
	t.user = t.newSpecialTrie(attrUser, attrControl|attrUnknown)
	t.loadPieces(r)
	t.loadStrips(r)
	if r.err != nil {
		return nil, r.err
	}
	return t, nil
}

// loadKind finds the kind of vocabulary and the pre-tokenizer.
func (t *Tokenizer) loadKind(r *reader) (preTokenizer, error) {
	if !r.meta.Has(keyModel) {
		r.fail(keyModel, "no such key", "the kind of vocabulary")
	}
	t.model = r.string(keyModel, "")
	t.pre = r.string(keyPre, "")
	if r.err != nil {
		return preTokenizer{}, r.err
	}
	switch t.model {
	case modelSPM:
		t.kind, t.pre = SPM, "default"
		return preTokenizer{}, nil
	case modelWPM:
		t.kind, t.pre = WPM, "default"
		return preTokenizer{}, nil
	case modelBPE:
		t.kind = BPE
	case modelGemma4:
		t.kind, t.pre = BPE, "gemma4"
	default:
		return preTokenizer{}, &UnsupportedError{Key: keyModel, Name: t.model}
	}
	if t.pre == "" {
		t.pre = "default"
		t.note("%s is missing: %q is used, which may cut words in another way than the model was trained with", keyPre, t.pre)
	}
	pre, ok := lookupPre(t.pre)
	if !ok {
		return preTokenizer{}, &UnsupportedError{Key: keyPre, Name: t.pre}
	}
	return pre, nil
}

// loadFlags reads what is added to text.
func (t *Tokenizer) loadFlags(r *reader, pre preTokenizer) {
	t.addBOS = r.bool(keyAddBOS, t.kind != BPE || pre.addBOS) || pre.forceBOS
	t.addEOS = r.bool(keyAddEOS, false)
	t.spacePrefix = r.bool(keyAddSpacePrefix, t.kind == SPM)
	t.escapeSpaces = t.kind != BPE || pre.rawUTF8
	t.cleanSpaces = t.kind == WPM || pre.cleanSpaces

	// BERT always has both ends, whatever the flags say.
	need := map[Role]string{}
	switch {
	case t.kind == WPM:
		need[BOS], need[SEP], need[UNK] = keyModel, keyModel, keyModel
	case t.addBOS:
		need[BOS] = keyAddBOS
	}
	if t.kind != WPM && t.addEOS {
		need[EOS] = keyAddEOS
	}
	for role, key := range need {
		if t.special[role] == none {
			r.fail(roles[role].keys[0], "no token", "one, because of "+key)
		}
	}
}

// loadVocabulary prepares what the kind of vocabulary needs to encode.
func (t *Tokenizer) loadVocabulary(r *reader, pre preTokenizer) {
	if r.err != nil {
		return
	}
	switch t.kind {
	case SPM:
		t.loadSPM(r)
	case BPE:
		t.loadBPE(r, pre)
	case WPM:
		t.loadWPM(r)
	}
}

func (t *Tokenizer) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// Kind returns the kind of vocabulary.
func (t *Tokenizer) Kind() Kind { return t.kind }

// Pre returns the name of the pre-tokenizer in use, "default" for SPM and WPM, which have none.
func (t *Tokenizer) Pre() string { return t.pre }

// Notes returns what New found odd and could live with, such as a missing pre-tokenizer name.
func (t *Tokenizer) Notes() []string { return t.notes }

// Size returns the number of tokens.
func (t *Tokenizer) Size() int { return len(t.texts) }

// Special returns the token of a role, and whether the vocabulary has one.
func (t *Tokenizer) Special(role Role) (id int32, ok bool) {
	if role >= numRoles || t.special[role] == none {
		return none, false
	}
	return t.special[role], true
}

// BOS returns the token that begins a sequence.
func (t *Tokenizer) BOS() (id int32, ok bool) { return t.Special(BOS) }

// EOS returns the token that ends a sequence. Generation ends at others too: see IsEOG.
func (t *Tokenizer) EOS() (id int32, ok bool) { return t.Special(EOS) }

// AddBOS says whether Encode with AddSpecial puts BOS first.
func (t *Tokenizer) AddBOS() bool { return t.addBOS }

// AddEOS says whether Encode with AddSpecial puts EOS (in BERT, SEP) last.
func (t *Tokenizer) AddEOS() bool { return t.addEOS || t.kind == WPM }

// IsEOG says whether a generation ends at id: at EOS, EOT, EOM, and the tokens known by their texts.
func (t *Tokenizer) IsEOG(id int32) bool { return t.ends[id] }

// IsControl says whether id is a token that is not text, such as BOS.
func (t *Tokenizer) IsControl(id int32) bool {
	return t.has(id) && t.attrs[id]&attrControl != 0
}

// Text returns the text of a token as it stands in the file, and whether there is such a token. For what
// the token means see Piece.
func (t *Tokenizer) Text(id int32) (text string, ok bool) {
	if !t.has(id) {
		return "", false
	}
	return t.texts[id], true
}

// ID returns the token whose text in the file is text, such as "<|im_end|>", and whether there is one.
func (t *Tokenizer) ID(text string) (id int32, ok bool) {
	return t.ids.get(text)
}

func (t *Tokenizer) has(id int32) bool { return id >= 0 && int(id) < len(t.texts) }
