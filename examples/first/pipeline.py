from millstream import Pipeline, PipelineData, PythonScriptStep, Workspace

words = PipelineData("words")
split = PythonScriptStep("split.py", arguments=["--out", words], outputs=[words])
count = PythonScriptStep("count.py", arguments=["--words", words], inputs=[words])

workspace = Workspace.from_config()
pipeline = Pipeline(workspace, steps=[count], default_source_directory="examples/first/src")
run = pipeline.submit("first")
run.wait_for_completion()
print(run.find_step_run("count.py")[0].get_metrics())
