// Package archtest holds the import order of the house against what `go list` says.
//
// Where bytes lie is known below what a tensor is, that below what a device is, and that below what a
// model is: buffer < tensor < backends < sched, and tensor < gguf, kv < model, and all of it < engine.
package archtest

// module is the library's module path. The command is a module of its own that may import anything.
const module = "github.com/tenon-go/tenon"

// trees are folders whose packages below have their rule. The first that matches counts.
var trees = []string{"bench", "models/gopher/train", "models"}

// A rule says what the code of one package may import; its tests may import anything.
type rule struct {
	imports []string // packages of ours, besides tools; all of them if this holds everything
	concept string   // why, for whoever runs into it
}

const everything = "*"

// rules has a line for each package, by its path in the module. A package that is not listed fails
// TestImportOrder.
var rules = map[string]rule{
	"buffer":       {nil, "bytes and who owns them: below everything"},
	"tensor":       {[]string{"buffer"}, "pure description: allocates and computes nothing"},
	"tensor/quant": {[]string{"tensor"}, "block formats in plain Go, the reference for every kernel"},
	"gguf":         {[]string{"tensor"}, "files know types and shapes, no devices"},
	"kv":           {[]string{"tensor", "tensor/quant", "buffer"}, "cells and storage: neither a device nor the scheduler"},

	"backends":                        {[]string{"tensor", "buffer"}, "interfaces and the registry, no implementation"},
	"backends/cpu":                    concreteBackend(),
	"backends/vulkan":                 concreteBackend("backends/vulkan/internal/vk", "backends/internal/card"),
	"backends/rocm":                   concreteBackend("backends/rocm/internal/hip", "backends/rocm/internal/goamdsmi", "backends/internal/card"),
	"backends/sim":                    concreteBackend("backends/cpu"), // a CPU behind another name
	"backends/conformance":            suite("backends/conformance/ref", "internal/opcorpus"),
	"backends/internal/card":          {[]string{"backends", "tensor"}, "what kernels of all cards have in common: it knows no card"},
	"backends/rocm/internal/goamdsmi": {nil, "what AMD's management library says of a card: it knows no tensors"},
	"backends/rocm/internal/hip":      {nil, "what of HIP the backend uses: it knows no tensors"},
	"backends/vulkan/internal/vk":     {nil, "what of Vulkan the backend uses: it knows no tensors"},
	// The oracle: plain loops in float64, which share no code with what they judge.
	"backends/conformance/ref": concreteBackend(),

	"sched":     {[]string{"tensor", "buffer", "backends"}, "a pure function of graph and devices, whatever the devices are"},
	"tokenizer": {nil, "text and ids, from metadata that is handed to it"},
	"chat":      {nil, "messages to text"},
	"sample":    {nil, "logits to an id"},
	"model":     {[]string{"tensor", "gguf", "kv"}, "builds graphs and never runs them"},

	"engine": {engineImports, "runs a model on devices that are handed to it"},
	"spec":   {append([]string{"engine"}, engineImports...), "drives engines"},
	"server": {append([]string{"spec", "engine", "chat"}, engineImports...), "HTTP over engines that are handed to it"},
	"":       {[]string{everything}, "the embedding API picks the backends"},
	"bench":  {[]string{everything}, "measures all of it"},
	"models": {[]string{"gguf", "tokenizer", "tensor", "tensor/quant"}, "makes model files and runs none"},
	// Programs by which a model was made and is measured; nobody imports them.
	"models/gopher/train": {[]string{everything}, "programs"},

	// Tools know nothing of the house, so that every room may use them: see isTool.
	"internal/archtest":   {nil, ""},
	"internal/cast":       {nil, ""},
	"internal/frames":     {nil, ""},
	"internal/hipemu":     {nil, ""},
	"internal/mmap":       {nil, ""},
	"internal/opsdoc":     {nil, ""}, // a test alone
	"internal/testcorpus": {nil, ""},

	"internal/recipe":    {[]string{"tensor"}, "names of types, no files"},
	"internal/opcorpus":  {[]string{"gguf", "tensor", "tensor/quant"}, "reads cases and runs none"},
	"internal/testcard":  {[]string{"backends"}, "opens devices for tests, whichever there are"},
	"internal/tinymodel": {[]string{"gguf", "tensor", "tensor/quant"}, "writes small models for tests"},
}

var engineImports = []string{"model", "sched", "sample", "tokenizer", "kv", "gguf", "backends", "buffer", "tensor"}

func concreteBackend(more ...string) rule {
	return rule{
		append([]string{"backends", "tensor", "tensor/quant", "buffer"}, more...),
		"a backend knows its contract, and neither another backend nor sched, kv or model",
	}
}

// suite is the rule of the conformance suite: it also drives a device as the scheduler and a cache would.
func suite(more ...string) rule {
	r := concreteBackend(append([]string{"sched", "kv"}, more...)...)
	r.concept = "the suite judges backends by their contract, through sched and kv too, and knows none of them"
	return r
}

// concrete are the packages that only the root package, bench, programs and tests may reach, through
// whatever they import.
var concrete = []string{"backends/cpu", "backends/vulkan", "backends/rocm", "backends/sim"}

var reachConcrete = append([]string{"", "bench", "models/gopher/train"}, concrete...)

// testOnly are packages that only tests import.
var testOnly = []string{"internal/hipemu", "internal/testcard", "internal/testcorpus", "internal/tinymodel"}

// outside are the modules that the library may use besides Go's own. Each has a line in RATIONALE.md.
var outside = []string{"golang.org/x/sys", "golang.org/x/text", "github.com/vulkan-go/vulkan", "github.com/ebitengine/purego"}
