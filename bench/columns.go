package bench

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// column is one field of a record as the flat formats have it.
type column struct {
	name  string
	index []int
	kind  columnKind
}

type columnKind int

const (
	textColumn columnKind = iota
	intColumn
	floatColumn
	boolColumn
	timeColumn
	jsonColumn // lists and the like
)

// columnsOf returns the fields of a struct that have a JSON name, those of embedded structs in place.
func columnsOf(t reflect.Type) []column {
	var all []column
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" || name == "-" {
			continue
		}
		c := column{name: name, index: f.Index}
		switch f.Type.Kind() {
		case reflect.String:
		case reflect.Int, reflect.Int64:
			c.kind = intColumn
		case reflect.Float64:
			c.kind = floatColumn
		case reflect.Bool:
			c.kind = boolColumn
		default:
			c.kind = jsonColumn
			if f.Type == reflect.TypeFor[time.Time]() {
				c.kind = timeColumn
			}
		}
		all = append(all, c)
	}
	return all
}

// text returns the value of c in a record, as CSV and SQL have it.
func (c column) text(record reflect.Value) (string, error) {
	v := record.FieldByIndex(c.index)
	switch c.kind {
	case textColumn:
		return v.String(), nil
	case intColumn:
		return strconv.FormatInt(v.Int(), 10), nil
	case floatColumn:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64), nil
	case boolColumn:
		if v.Bool() {
			return "1", nil
		}
		return "0", nil
	case timeColumn:
		return v.Interface().(time.Time).Format(time.RFC3339), nil
	}
	if v.Kind() == reflect.Slice && v.Len() == 0 {
		return "", nil
	}
	b, err := json.Marshal(v.Interface())
	return string(b), err
}

// set is the inverse of text.
func (c column) set(record reflect.Value, s string) error {
	v := record.FieldByIndex(c.index)
	var err error
	switch c.kind {
	case textColumn:
		v.SetString(s)
	case intColumn:
		var n int64
		n, err = strconv.ParseInt(s, 10, 64)
		v.SetInt(n)
	case floatColumn:
		var x float64
		x, err = strconv.ParseFloat(s, 64)
		v.SetFloat(x)
	case boolColumn:
		v.SetBool(s == "1")
	case timeColumn:
		var t time.Time
		t, err = time.Parse(time.RFC3339, s)
		v.Set(reflect.ValueOf(t))
	case jsonColumn:
		if s != "" {
			err = json.Unmarshal([]byte(s), v.Addr().Interface())
		}
	}
	if err != nil {
		return fmt.Errorf("bench: column %s: %q: %w", c.name, s, err)
	}
	return nil
}

// sqlType returns the type of c in SQL.
func (c column) sqlType() string {
	switch c.kind {
	case intColumn, boolColumn:
		return "INTEGER"
	case floatColumn:
		return "REAL"
	}
	return "TEXT"
}
