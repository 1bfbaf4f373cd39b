package engine

// LatestRun returns an identity of the graph that ran last.
func (e *Engine) LatestRun() any { return e.runs.kept[0] }

// KeptRuns returns how many graphs are kept.
func (e *Engine) KeptRuns() int { return len(e.runs.kept) }

// MaxRuns is how many graphs are kept at most.
const MaxRuns = maxRuns
