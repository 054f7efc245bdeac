# SPDX-License-Identifier: GPL-2.0-or-later
"""A series' diff -> the interface files that it adds or changes, and what to write to them."""

from orchestrator.kernel.code.c_functions import function_extents
from orchestrator.kernel.code.interface_files import MOST_FILES, interface_names
from orchestrator.model.series_diff import ChangedFile, ChangedFunction, DiffLine, SeriesDiff


def diff(**files: str) -> SeriesDiff:
    """Of texts whose added lines begin with a plus; a path has __ for / and ___ for the dot."""
    changed, texts = [], {}
    functions: list[ChangedFunction] = []
    for name, marked in files.items():
        path = name.replace("___", ".").replace("__", "/")
        lines = [
            DiffLine(kind="+" if line.startswith("+") else " ", old=0, new=number, text=line[1:])
            for number, line in enumerate(marked.strip("\n").split("\n"), 1)
        ]
        text = "\n".join(line.text for line in lines) + "\n"
        added = {line.new for line in lines if line.kind == "+"}
        changed.append(ChangedFile(path=path, hunks=(tuple(lines),)))
        if path.endswith((".c", ".h")):
            texts[path] = text
            functions += [
                ChangedFunction(file=path, name=one.name, first=one.first, last=one.last)
                for one in function_extents(text)
                if added & set(range(one.first, one.last + 1))
            ]
    return SeriesDiff(files=tuple(changed), functions=tuple(functions), texts=texts)


MEMCG = """
 static int colour_show(struct seq_file *m, void *v)
 {
     return 0;
 }
 static int high_write(struct kernfs_open_file *of)
 {
+    lock();
     return 0;
 }
 static struct cftype memory_files[] = {
     {
         .name = "current",
         .read_u64 = memory_current_read,
     },
     {
         .name = "high",
         .write = high_write,
     },
+    {
+        .name = "colour",
+        .seq_show = colour_show,
+    },
     { }	/* terminate */
 };
 struct cgroup_subsys memory_cgrp_subsys = {
     .dfl_cftypes = memory_files,
 };
 int bandwidth(void) { return cgroup_subsys_on_dfl(io_cgrp_subsys); }
"""


def test_files_of_a_cgroup_have_the_name_of_their_controller_and_new_ones_are_first() -> None:
    assert interface_names(diff(mm__memcontrol___c=MEMCG)).files == ("cgroup:memory.colour", "cgroup:memory.high")


def test_where_no_controller_is_named_the_guest_looks_for_the_end_of_the_name() -> None:
    text = '+static struct cftype legacy[] = {\n+\t{ .name = "limit", .write = f },\n+};'

    assert interface_names(diff(mm__v1___c=text)).files == ("cgroup:limit",)


def test_another_structure_with_a_name_is_no_file() -> None:
    text = '+static struct file_system_type fs = {\n+\t.name = "tmpfs",\n+};'

    assert interface_names(diff(mm__shmem___c=text)).files == ()


def test_attributes_parameters_and_calls_make_files() -> None:
    text = """
+static struct kobj_attribute tiers_attr = __ATTR_RW(tiers);
+static struct kobj_attribute other = __ATTR(other, 0644, f, g);
+static DEVICE_ATTR_RO(speed);
+KSM_ATTR(pages);
+module_param_named(most, limit, uint, 0644);
+module_param_cb(pool, &pool_ops, &pool, 0644);
+    debugfs_create_file("state", 0400, root, NULL, &state_fops);
+    debugfs_create_dir("folder", NULL);
+    proc_create_single("slots", 0, NULL, slots_show);
+    REG("regions", S_IRUGO, proc_regions_operations),
+DEFINE_SHOW_ATTRIBUTE(state);
+ATTRIBUTE_GROUPS(tiers);
"""
    assert interface_names(diff(mm__a___c=text)).files == (
        *("sysfs:tiers", "sysfs:other", "sysfs:speed", "sysfs:pages"),
        *("parameter:parameters/most", "parameter:parameters/pool"),
        *("debugfs:state", "proc:slots", "process:regions"),
    )


def test_a_macro_that_makes_attributes_is_none_itself() -> None:
    text = (
        "+#define KSM_ATTR(_name) \\\n+\tstatic struct kobj_attribute _name##_attr = __ATTR_RW(_name)\n+KSM_ATTR(run);"
    )

    assert interface_names(diff(mm__ksm___c=text)).files == ("sysfs:run",)


def test_settings_of_sysctl_have_the_folder_in_which_they_are_registered() -> None:
    text = """
 static const struct ctl_table vm_table[] = {
     { .procname = "swappiness", .proc_handler = proc_dointvec },
+    { .procname = "eagerness", .proc_handler = proc_dointvec },
 };
     register_sysctl_init("vm", vm_table);
"""
    assert interface_names(diff(mm__vmscan___c=text)).files == ("sysctl:vm/eagerness",)


def test_a_file_whose_handler_changes_is_the_series_directly_or_by_a_structure_of_functions() -> None:
    text = """
 static ssize_t depth_store(void)
 {
+    return 1;
 }
 static int pool_set(void)
 {
+    return 1;
 }
 static int state_show(void)
 {
+    return 1;
 }
 DEFINE_SHOW_ATTRIBUTE(state);
 static struct kobj_attribute depth_attr = __ATTR_RW(depth);
 static struct kobj_attribute width_attr = __ATTR_RW(width);
 static const struct kernel_param_ops pool_ops = { .set = pool_set, .get = get };
 module_param_cb(pool, &pool_ops, &pool, 0644);
     debugfs_create_file("state", 0400, root, NULL, &state_fops);
"""
    assert interface_names(diff(mm__a___c=text)).files == ("sysfs:depth", "parameter:parameters/pool", "debugfs:state")


def test_a_path_that_the_series_documents_stands_for_the_name() -> None:
    document = "+The tiers are set by /sys/kernel/mm/swap/tiers.\n+See /sys/kernel/mm/swap/others as well."
    names = interface_names(diff(mm__a___c="+static X a = __ATTR_RW(tiers);", Documentation__a___rst=document))

    assert names.files == ("/sys/kernel/mm/swap/tiers",)


def test_many_files_are_cut_and_a_series_without_files_has_no_words() -> None:
    many = "\n".join(f"+static X a = __ATTR_RW(name{i});" for i in range(40))
    assert len(interface_names(diff(mm__a___c=many)).files) == MOST_FILES

    assert interface_names(diff(mm__a___c='+\tif (!strcmp(name, "auto"))\n+\t\treturn;')).words == ()


def words(code: str, document: str = "+") -> tuple[str, ...]:
    text = f"+static X a = __ATTR_RW(tiers);\n{code}"
    return interface_names(diff(mm__a___c=text, Documentation__a___rst=document)).words


def test_examples_of_documents_are_words() -> None:
    document = """
+    # echo "+HDD:50, +NET:-1" > /sys/kernel/mm/swap/tiers
+    echo -n '-SSD' >tiers
+    $ echo 5 >> tiers
+    # cat tiers; echo done
"""
    assert words("+", document) == ("+HDD:50, +NET:-1", "-SSD", "5")


def test_what_the_code_compares_with_and_scans_for_is_a_word() -> None:
    code = """
+    if (sysfs_streq(buf, "always"))
+    else if (!strncmp(buf, "never", 5))
+    if (sscanf(buf, "%d:%lu %15s", &a, &b, name) == 3)
+    { MEMORY_SWAPPINESS, "swappiness=%d"},
+    [LOW] = "low",
+    pr_info("a message\\n");
"""
    assert words(code) == ("always", "never", "1:1 a", "swappiness=1", "low")


def test_signs_marks_and_separators_make_items_and_lists() -> None:
    code = """
+    while ((token = strsep(&p, ", \\t\\n")) != NULL) {
+        case '+':
+            token = strchr(name, ':');
+        case '-':
"""
    assert words(code) == ("+a", "+b:1", "-a", "-b:1", "+a,+b:1,-a,-b:1", "+a +b:1 -a -b:1")


def test_a_word_is_one_line_of_text_that_is_not_too_long() -> None:
    assert words('+\tif (!strcmp(a, "a\\n") || !strcmp(a, "b"))', f"+ echo {'x' * 151} > tiers") == ("b",)


def test_a_text_that_closes_nothing_takes_no_time() -> None:
    text = "+" + "a = { A_ATTR(b strcmp(a[ " * 400

    assert interface_names(diff(mm__a___c=text)).files == ("sysfs:b",)
