module panel

go 1.26.0
