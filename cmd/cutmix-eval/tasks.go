package main

import (
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/binary"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/corruption"
	"cutmix-eval/tasks/finetune"
	"cutmix-eval/tasks/localize"
	"cutmix-eval/tasks/multilabel"
	"cutmix-eval/tasks/ood"
)

// all are the tasks whose runs can be read.
var all = []tasks.Task{classify.Task{}, binary.Task{}, multilabel.Task{}, localize.Task{}, corruption.Task{}, ood.Task{}, finetune.Task{}, finetune.SuiteTask{}}
