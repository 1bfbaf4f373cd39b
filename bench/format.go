package bench

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Formats are the names that NewWriter takes: those of llama-bench's -o, and "go", the format of Go's own
// benchmarks, which benchstat reads.
func Formats() []string { return []string{"md", "csv", "json", "jsonl", "sql", "go"} }

// Row is what writers write: a Record or an OpRecord.
type Row interface {
	// cells returns the line of a table; all rows of a table have the same cells.
	cells(t *tableStyle) []cell
	// goBench appends lines of Go's benchmark format, and labels returns its "key: value" lines.
	goBench(b []byte) []byte
	labels() []string
}

// Writer writes rows in one format. Close ends what was begun, a JSON array for example; a file that was
// closed early is complete as far as it goes. The first error is kept and returned by every later call.
type Writer struct {
	w      io.Writer
	format string
	style  tableStyle
	table  string // of SQL
	rows   int
	labels []string
	width  []int
	err    error
}

// NewWriter returns a writer of records. tests are what will be measured, as far as it is known: a table
// gets a column for each setting that differs between them. Errors: *OptionError for a format that is not
// there.
func NewWriter(w io.Writer, format string, tests []Params) (*Writer, error) {
	return newWriter(w, format, "tenon_bench", tests)
}

func newWriter(w io.Writer, format, table string, tests []Params) (*Writer, error) {
	for _, f := range Formats() {
		if f == format {
			return &Writer{w: w, format: format, table: table, style: styleOf(tests)}, nil
		}
	}
	return nil, &OptionError{"a format", fmt.Sprintf("%q", format), strings.Join(Formats(), ", ")}
}

// Compares says that the rows will have a peer beside them, so that a table has columns for it from the
// first row on.
func (w *Writer) Compares() { w.style.peer = true }

// Write writes one row.
func (w *Writer) Write(r Row) error {
	if w.err != nil {
		return w.err
	}
	switch w.format {
	case "md":
		w.markdown(r)
	case "csv":
		w.csv(r)
	case "sql":
		w.sql(r)
	case "go":
		w.goBench(r)
	default:
		w.json(r)
	}
	w.rows++
	return w.err
}

// Close ends the output.
func (w *Writer) Close() error {
	if w.err == nil && w.format == "json" {
		if w.rows == 0 {
			w.print("[")
		}
		w.print("\n]\n")
	}
	err := w.err
	w.err = errors.Join(err, io.ErrClosedPipe)
	return err
}

func (w *Writer) print(s string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.w, s)
	}
}

func (w *Writer) json(r Row) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	prefix := ""
	if w.format == "json" {
		e.SetIndent("  ", "  ")
		prefix = "[\n  "
		if w.rows > 0 {
			prefix = ",\n  "
		}
	}
	if w.err = e.Encode(r); w.err != nil {
		return
	}
	text := b.String()
	if w.format == "json" {
		text = strings.TrimSuffix(text, "\n")
	}
	w.print(prefix + text)
}

// texts returns the columns of r and its values.
func texts(r Row) ([]column, []string, error) {
	v := reflect.Indirect(reflect.ValueOf(r))
	columns := columnsOf(v.Type())
	values := make([]string, len(columns))
	for i, c := range columns {
		var err error
		if values[i], err = c.text(v); err != nil {
			return nil, nil, err
		}
	}
	return columns, values, nil
}

func (w *Writer) csv(r Row) {
	columns, values, err := texts(r)
	if err != nil {
		w.err = err
		return
	}
	out := csv.NewWriter(w.w)
	if w.rows == 0 {
		var names []string
		for _, c := range columns {
			names = append(names, c.name)
		}
		_ = out.Write(names) // Error says it
	}
	_ = out.Write(values)
	out.Flush()
	w.err = out.Error()
}

func (w *Writer) sql(r Row) {
	columns, values, err := texts(r)
	if err != nil {
		w.err = err
		return
	}
	var names, quoted []string
	for i, c := range columns {
		names = append(names, c.name)
		quoted = append(quoted, "'"+strings.ReplaceAll(values[i], "'", "''")+"'")
	}
	if w.rows == 0 {
		w.print("CREATE TABLE IF NOT EXISTS " + w.table + " (\n")
		for i, c := range columns {
			end := ",\n"
			if i == len(columns)-1 {
				end = "\n);\n\n"
			}
			w.print("  " + c.name + " " + c.sqlType() + end)
		}
	}
	w.print("INSERT INTO " + w.table + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(quoted, ", ") + ");\n")
}

// goBench writes the lines of r, after those labels that differ from the row before.
func (w *Writer) goBench(r Row) {
	labels := r.labels()
	for i, l := range labels {
		if i >= len(w.labels) || w.labels[i] != l {
			w.print(l + "\n")
		}
	}
	w.labels = labels
	w.print(string(r.goBench(nil)))
}

// ReadJSON reads records that were written as json or jsonl.
func ReadJSON(r io.Reader) ([]Record, error) {
	dec := json.NewDecoder(r)
	var all []Record
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err == nil && raw[0] == '[' {
			var some []Record
			err = json.Unmarshal(raw, &some)
			all = append(all, some...)
		} else if err == nil {
			var one Record
			err = json.Unmarshal(raw, &one)
			all = append(all, one)
		}
		if err != nil {
			return all, fmt.Errorf("bench: record %d: %w", len(all)+1, err)
		}
	}
}

// ReadCSV reads records that were written as csv. Columns that it does not know are left out.
func ReadCSV(r io.Reader) ([]Record, error) {
	in := csv.NewReader(r)
	names, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	known := map[string]column{}
	for _, c := range columnsOf(reflect.TypeFor[Record]()) {
		known[c.name] = c
	}
	var all []Record
	for {
		line, err := in.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("bench: %w", err)
		}
		var rec Record
		for i, name := range names {
			if c, ok := known[name]; ok {
				if err := c.set(reflect.ValueOf(&rec).Elem(), line[i]); err != nil {
					return all, err
				}
			}
		}
		all = append(all, rec)
	}
}
