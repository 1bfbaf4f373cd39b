module github.com/tenon-go/tenon/cmd

go 1.26
