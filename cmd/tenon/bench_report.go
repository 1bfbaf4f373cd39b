package main

import "github.com/spf13/cobra"

func (a *app) benchReportCommand() *cobra.Command { return &cobra.Command{Use: "report", Hidden: true} }
