/*
 * Maps names through libnfsidmap, as rpc.idmapd, nfsidmap and rpc.svcgssd do: nfs-names CONFIGURATION, questions on
 * standard input, a line each: `user NAME@DOMAIN`, `group NAME@DOMAIN`, `uid N`, `gid N`, `principal NAME@REALM`.
 * The library is loaded by its name, so that its headers need not be there.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static void *library;

static void *function(const char *name)
{
	void *found = dlsym(library, name);

	if (found == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return found;
}

static int ask(const char *kind, char *value, char *answer, size_t size)
{
	static char domain[256];
	uid_t id = 0;
	gid_t group = 0;
	int failed;

	if (domain[0] == 0)
		((int (*)(char *, char *, size_t))function("nfs4_get_default_domain"))(NULL, domain, sizeof domain);
	if (strcmp(kind, "uid") == 0)
		return ((int (*)(uid_t, char *, char *, size_t))function("nfs4_uid_to_name"))(atoi(value), domain, answer, size);
	if (strcmp(kind, "gid") == 0)
		return ((int (*)(gid_t, char *, char *, size_t))function("nfs4_gid_to_name"))(atoi(value), domain, answer, size);
	if (strcmp(kind, "principal") == 0) {
		failed = ((int (*)(char *, char *, uid_t *, gid_t *))function("nfs4_gss_princ_to_ids"))("krb5", value, &id, &group);
		snprintf(answer, size, "%u %u", id, group);
		return failed;
	}
	if (strcmp(kind, "user") == 0)
		failed = ((int (*)(char *, uid_t *))function("nfs4_name_to_uid"))(value, &id);
	else
		failed = ((int (*)(char *, gid_t *))function("nfs4_name_to_gid"))(value, &id);
	snprintf(answer, size, "%u", id);
	return failed;
}

int main(int argc, char **argv)
{
	char line[512], answer[512];

	/* Its plugins use its symbols, as those of a library that a program is linked with. */
	library = dlopen("libnfsidmap.so.1", RTLD_NOW | RTLD_GLOBAL);
	if (argc != 2 || library == NULL || ((int (*)(char *))function("nfs4_init_name_mapping"))(argv[1]) != 0) {
		fprintf(stderr, "libnfsidmap does not take the configuration\n");
		return 1;
	}
	while (fgets(line, sizeof line, stdin) != NULL) {
		char kind[16];
		char *value;

		line[strcspn(line, "\n")] = 0;
		value = strchr(line, ' ');
		if (value == NULL)
			return 1;
		snprintf(kind, sizeof kind, "%.*s", (int)(value - line), line);
		printf("%s -> ", line);
		printf("%s\n", ask(kind, value + 1, answer, sizeof answer) == 0 ? answer : "nobody");
	}
	return 0;
}
