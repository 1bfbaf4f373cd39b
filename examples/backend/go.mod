module example.com/loop

go 1.26.0

require github.com/tenon-go/tenon v0.0.0

require golang.org/x/sys v0.49.0 // indirect

// In a repository of your own, require a released version instead.
replace github.com/tenon-go/tenon => ../..
