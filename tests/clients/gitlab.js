// Behind README.md's snippet, which makes `gitlab` and asks for `project`.
const file = await gitlab.RepositoryFiles.show("group/sub/project", "dir/one.md", "feature/x");
const issues = await gitlab.Issues.all({ projectId: "group/sub/project", perPage: 2 });
console.log(JSON.stringify({
  project: project.path_with_namespace,
  file: file.file_path,
  issues: issues.map(({ iid }) => iid),
}));
