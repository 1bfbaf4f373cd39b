package tokenizer

// preTokenizer is what a name in tokenizer.ggml.pre stands for.
type preTokenizer struct {
	passes       []pass
	ignoreMerges bool // a word that is a token is taken whole, whatever the merges say
	addBOS       bool // unless the file says otherwise
	cleanSpaces  bool // decoding drops the space before punctuation and some English endings
	rawUTF8      bool // symbols are characters and spaces are U+2581, as in SPM; else they are bytes
	wholeLines   bool // a word of line ends that is a token is taken whole
	forceBOS     bool // BOS is added even if the file says not to
	noBOS        bool // there is no BOS unless the file names one
}

// lookupPre returns the pre-tokenizer called name. The names and what they mean are llama.cpp's.
func lookupPre(name string) (preTokenizer, bool) {
	for _, group := range preGroups {
		for _, n := range group.names {
			if n == name {
				return group.make(), true
			}
		}
	}
	return preTokenizer{}, false
}

// preGroups lists the pre-tokenizers; names that share a line cut alike.
var preGroups = []struct {
	names []string
	make  func() preTokenizer
}{
	{[]string{"default"}, func() preTokenizer {
		return spaced(punctRuns("$+<=>^~|"), gpt2Pass{}, digitRuns(0), asciiTriples())
	}},
	{[]string{"falcon"}, func() preTokenizer {
		return spaced(punctRuns("$+<=>^~|`"), gpt2Pass{}, asciiTriples())
	}},
	{[]string{
		"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert",
		"jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais", "exaone4",
	}, func() preTokenizer { return spaced(gpt2Pass{}) }},
	{[]string{"trillion", "granite-docling"}, func() preTokenizer { return exact(gpt2Pass{}) }},
	{[]string{"starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"}, func() preTokenizer {
		return spaced(digitRuns(1), gpt2Pass{})
	}},
	{[]string{"command-r", "smollm"}, func() preTokenizer { return exact(digitRuns(1), gpt2Pass{}) }},
	{[]string{
		"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
	}, func() preTokenizer {
		p := spaced(llama3Words.pass(nil))
		p.ignoreMerges, p.addBOS = true, true
		return p
	}},
	{[]string{"dbrx", "smaug-bpe"}, func() preTokenizer { return spaced(llama3Words.pass(nil)) }},
	{[]string{"glm4", "chatglm-bpe"}, func() preTokenizer {
		p := spaced(llama3Words.pass(nil))
		p.noBOS = true
		return p
	}},
	{[]string{"jais-2"}, func() preTokenizer { return spaced(llama3Words.pass(nil), cascadePass{}) }},
	{[]string{"minicpm5"}, func() preTokenizer {
		p := spaced(digitRuns(3), llama3Words.pass(func(w *wordRule) { w.digits = 0 }))
		p.ignoreMerges = true
		return p
	}},
	{[]string{"stablelm2", "megrez"}, func() preTokenizer { return withSpaces(qwen2()) }},
	{[]string{
		"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2", "bailingmoe", "bailingmoe2",
		"llada-moe",
	}, qwen2},
	{[]string{"qwen35"}, func() preTokenizer {
		return exact(llama3Words.pass(func(w *wordRule) {
			w.digits, w.letters, w.notPunct = 1, letter|mark, space|letter|mark|number
		}))
	}},
	{[]string{"seed-coder"}, func() preTokenizer {
		return exact(llama3Words.pass(func(w *wordRule) { w.digits, w.trail = 1, "" }))
	}},
	{[]string{"ufakzeka"}, func() preTokenizer {
		return exact(llama3Words.pass(func(w *wordRule) { w.digits, w.contraction = 1, noContraction }))
	}},
	{[]string{"laguna"}, func() preTokenizer {
		return exact(lines(), llama3Words.pass(func(w *wordRule) { w.digits = 1 }))
	}},
	{[]string{"exaone-moe"}, func() preTokenizer {
		return spaced(llama3Words.pass(func(w *wordRule) {
			w.word, w.digits, w.trail, w.trailMax = phraseWords, 1, "\r\n/", 1
		}))
	}},
	{[]string{"tekken"}, func() preTokenizer {
		p := exact(gpt4oWords.pass(func(w *wordRule) { w.contraction, w.digits = noContraction, 1 }))
		p.ignoreMerges, p.addBOS = true, true
		return p
	}},
	{[]string{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, func() preTokenizer {
		return exact(gpt4oWords.pass(nil))
	}},
	{[]string{"granite-embed-multi-97m"}, func() preTokenizer {
		p := exact(gpt4oWords.pass(func(w *wordRule) { w.letters = letter | mark }))
		p.ignoreMerges = true
		return p
	}},
	{[]string{"tiny_aya", "cohere2moe"}, func() preTokenizer {
		return exact(boundedGroupPass{}, gpt4oWords.pass(func(w *wordRule) { w.word, w.letters = plainWords, letter|mark }))
	}},
	{[]string{"youtu"}, func() preTokenizer {
		p := exact(&scanPass{youtuEnd}, gpt4oWords.pass(func(w *wordRule) {
			w.word, w.letters, w.digits = plainWords, letter|mark, 1
		}))
		p.ignoreMerges = true
		return p
	}},
	{[]string{"kimi-k2"}, func() preTokenizer {
		return exact(gpt4oWords.pass(func(w *wordRule) { w.word, w.trail = hanWords, "\r\n" }))
	}},
	{[]string{"deepseek-llm"}, func() preTokenizer {
		return exact(lineEnds(), spacedRunsOf(deepseekLetters), spacedRunsOf(deepseekPunct), trailingSpacePass{},
			runsOf(deepseekCJK), digitRuns(0))
	}},
	{[]string{"deepseek-coder"}, func() preTokenizer {
		return exact(lineEnds(),
			(&runPass{leadSpace: true, in: func(_ rune, c class) bool { return c&letter != 0 }}).ready(),
			(&runPass{leadSpace: true, in: func(_ rune, c class) bool { return c&punct != 0 }}).ready(),
			runsOf(deepseekCJK), digitRuns(1))
	}},
	{[]string{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, func() preTokenizer {
		return exact(digitRuns(3), runsOf(deepseek3CJK), &scanPass{deepseek3Rule{}.next})
	}},
	{[]string{"spark2_5"}, func() preTokenizer {
		return exact(digitRuns(3), runsOf(deepseek3CJK), &scanPass{deepseek3Rule{noLines: true}.next}, digitRuns(1))
	}},
	{[]string{"afmoe"}, func() preTokenizer {
		return exact(numberTailPass{}, runsOf(afmoeCJK), &scanPass{deepseek3Rule{}.next})
	}},
	{[]string{"superbpe"}, func() preTokenizer { return exact(digitRuns(0), groupPass{}) }},
	{[]string{"poro-chat"}, func() preTokenizer { return exact(&scanPass{bloomEnd}) }},
	{[]string{"bloom", "gpt3-finnish"}, func() preTokenizer { return spaced(&scanPass{bloomEnd}) }},
	{[]string{"viking"}, func() preTokenizer { return exact(&scanPass{bloomEnd}, digitRuns(1)) }},
	{[]string{"gemma4", "granite-embed-multi-311m"}, func() preTokenizer {
		p := spaced(lines())
		p.rawUTF8, p.wholeLines, p.forceBOS = true, true, true
		return p
	}},
	{[]string{"sarvam-moe"}, func() preTokenizer {
		p := exact(lines())
		p.rawUTF8 = true
		return p
	}},
}

// spaced is a pre-tokenizer of a model whose text is cleaned of spaces when decoded.
func spaced(passes ...pass) preTokenizer {
	return preTokenizer{passes: markFinal(passes), cleanSpaces: true}
}

// exact is a pre-tokenizer of a model whose text is decoded as it is.
func exact(passes ...pass) preTokenizer {
	return preTokenizer{passes: markFinal(passes)}
}

func withSpaces(p preTokenizer) preTokenizer {
	p.cleanSpaces = true
	return p
}

// qwen2 is llama3 with each digit a word. In bailingmoe's `\s*[\r\n]` the white space takes all line ends
// but the last, so that it cuts alike.
func qwen2() preTokenizer {
	return exact(llama3Words.pass(func(w *wordRule) { w.digits = 1 }))
}
