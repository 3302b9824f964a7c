/*
 * whois.c: who stands behind SIDs and names.
 *
 *     cc -o whois whois.c $(pkg-config --cflags --libs entra)
 *     ./whois S-1-5-21-3623811015-3361044348-30300820-1103 alice 'File Server Admins'
 */
#include <entra.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A SID's name, kind and id, on one line. */
static int show_sid(const struct entra_sid *sid)
{
	struct entra_id id;
	char name[1025], text[ENTRA_SID_TEXT];
	int status = entra_sid_to_name(sid, &id, name, sizeof name, NULL);

	if (status == ENTRA_OK)
		status = entra_sid_format(sid, text, sizeof text, NULL);
	if (status == ENTRA_OK)
		printf("%s %s %s %u\n", text, id.kind == ENTRA_USER ? "user" : "group", name, id.id);
	return status;
}

/* A user's record and groups. */
static int show_user(const char *name)
{
	struct entra_user user;
	size_t needed = 0, count = 0;
	char *buffer = NULL;
	uint32_t *gids = NULL;
	int status;

	/* The record may grow between two calls: as often as that happens. */
	while ((status = entra_user_by_name(name, &user, buffer, needed, &needed)) == ENTRA_RANGE) {
		free(buffer);
		buffer = malloc(needed);
		if (!buffer)
			return ENTRA_UNAVAILABLE;
	}
	if (status == ENTRA_OK) {
		printf("  %s uid %u gid %u home %s shell %s (%s)\n", user.name, user.uid, user.gid, user.home, user.shell, user.gecos);
		while ((status = entra_groups_of_user(name, gids, count, &count)) == ENTRA_RANGE) {
			free(gids);
			gids = calloc(count, sizeof *gids);
			if (!gids)
				break;
		}
		if (status == ENTRA_OK) {
			printf("  groups");
			for (size_t at = 0; at < count; at++)
				printf(" %u", gids[at]);
			printf("\n");
		}
		free(gids);
	}
	free(buffer);
	return status;
}

/* A group's members. */
static int show_group(const char *name)
{
	struct entra_group group;
	size_t needed = 0;
	char *buffer = NULL;
	int status;

	while ((status = entra_group_by_name(name, &group, buffer, needed, &needed)) == ENTRA_RANGE) {
		free(buffer);
		buffer = malloc(needed);
		if (!buffer)
			return ENTRA_UNAVAILABLE;
	}
	if (status == ENTRA_OK) {
		printf("  %s gid %u, %zu members", group.name, group.gid, group.member_count);
		for (const char *const *member = group.members; *member; member++)
			printf(" %s", *member);
		printf("\n");
	}
	free(buffer);
	return status;
}

static int show(const char *argument)
{
	struct entra_sid sid;
	struct entra_id id;
	int status;

	if (entra_sid_parse(argument, &sid) == ENTRA_OK)
		return show_sid(&sid);
	status = entra_name_to_sid(argument, 0, &sid, &id);
	if (status == ENTRA_OK)
		status = show_sid(&sid);
	if (status == ENTRA_OK)
		status = id.kind == ENTRA_USER ? show_user(argument) : show_group(argument);
	return status;
}

int main(int argc, char **argv)
{
	int worst = ENTRA_OK;

	for (int at = 1; at < argc; at++) {
		int status = show(argv[at]);

		if (status != ENTRA_OK)
			printf("%s: %s\n", argv[at], entra_strerror(status));
		if (status > worst)
			worst = status;
	}
	return worst;
}
