/*
 * libentra: the users and groups of Microsoft Entra Domain Services and Active Directory, as entrad knows them on this
 * host: which SID, name and id belong together, the records, the groups of a user.
 *
 * Link with `pkg-config --cflags --libs entra`. Functions are added within a soname; functions and structs that are here
 * are never changed or removed. entra(3) says the same with an example.
 *
 * Every function may be called from any thread, and in the child of a fork. None starts a thread, keeps a descriptor,
 * prints, or changes errno. An answer comes from the memory that entrad shares with every process or, where that has
 * none, from entrad's socket: a call waits 3.5 seconds at most there (entra_sids_to_ids: for each 256 SIDs).
 *
 * What `getent passwd` and `getent group` would not show for entrad is not found here either: local accounts, and ids
 * that /etc/entra/entra.toml does not grant.
 */
#ifndef ENTRA_H
#define ENTRA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the functions give. */
#define ENTRA_OK 0
/* The directory said that there is none, or it can be none of the directory's. */
#define ENTRA_NOT_FOUND 1
/* Nobody can tell now: entrad is not running, or the directory does not answer and nothing is known. Never made into
 * "not found": ask again later. */
#define ENTRA_UNAVAILABLE 2
/* The buffer is too short; what it needs stands in *needed. */
#define ENTRA_RANGE 3
/* A null pointer where something must stand, no SID, no such kind. */
#define ENTRA_INVALID 4

/* What a SID belongs to. */
#define ENTRA_USER 1
#define ENTRA_GROUP 2

/* Longest binary SID, and room for every SID as text with its NUL, in bytes. */
#define ENTRA_SID_BYTES 68
#define ENTRA_SID_TEXT 192

/* A SID as a security descriptor holds it (MS-DTYP 2.4.2.2), zeros behind it. */
struct entra_sid {
	uint8_t bytes[ENTRA_SID_BYTES];
};

/* A uid (ENTRA_USER) or gid (ENTRA_GROUP). */
struct entra_id {
	uint32_t kind;
	uint32_t id;
};

/* The answer about one SID of several. */
struct entra_mapping {
	/* ENTRA_OK, ENTRA_NOT_FOUND, ENTRA_UNAVAILABLE or ENTRA_INVALID. */
	int32_t status;
	/* As in struct entra_id; 0 without an answer. */
	uint32_t kind;
	uint32_t id;
};

/* A user. The texts lie in the caller's buffer. */
struct entra_user {
	const char *name;
	const char *gecos;
	const char *home;
	const char *shell;
	uint32_t uid;
	uint32_t gid;
};

/* A group. The texts and the array, which ends with a null pointer, lie in the caller's buffer. */
struct entra_group {
	const char *name;
	const char *const *members;
	size_t member_count;
	uint32_t gid;
	uint32_t reserved;
};

/* What entra_health finds. */
struct entra_health {
	/* 1 where entrad answers. */
	uint32_t daemon;
	/* 1 where the shared memory answers. */
	uint32_t cache;
	/* Configured domains, and those that answered when they were last asked; 0 where entrad does not answer. */
	uint32_t domains;
	uint32_t online;
};

/* The version of the library that is loaded, such as "0.1.0". Never NULL; not to be freed. */
const char *entra_version(void);

/* What a status means, in English. Never NULL; not to be freed. */
const char *entra_strerror(int status);

/* Reads "S-1-5-21-...". */
int entra_sid_parse(const char *text, struct entra_sid *sid);

/* Takes the SID that stands at the start of `length` bytes. */
int entra_sid_from_bytes(const void *bytes, size_t length, struct entra_sid *sid);

/* How many of its bytes the SID takes: 12 to 68; 0 where it is none. */
size_t entra_sid_length(const struct entra_sid *sid);

/* Writes a SID as text with its NUL; ENTRA_SID_TEXT bytes are always enough. `needed` may be NULL. */
int entra_sid_format(const struct entra_sid *sid, char *text, size_t size, size_t *needed);

/*
 * The uid or gid of a SID. A SID that an account had before it moved to this domain (sIDHistory) is that account's: old
 * access lists go on naming somebody. entra_uid_to_sid and entra_gid_to_sid then give the present one.
 */
int entra_sid_to_id(const struct entra_sid *sid, struct entra_id *id);

/*
 * The same for `count` SIDs at once, each with a status of its own. ENTRA_UNAVAILABLE where that is the status of any of
 * them, otherwise ENTRA_OK. SIDs that the shared memory does not have are asked for in parts of 256; a part that gets no
 * answer is the last one that is asked for, and what comes behind it is ENTRA_UNAVAILABLE.
 */
int entra_sids_to_ids(const struct entra_sid *sids, size_t count, struct entra_mapping *mappings);

/* The SID of a user, and of a group. */
int entra_uid_to_sid(uint32_t uid, struct entra_sid *sid);
int entra_gid_to_sid(uint32_t gid, struct entra_sid *sid);

/*
 * The SID of a name in any form that entrad knows ("alice", "alice@contoso.com", "AADDS\\alice"). `kind`: ENTRA_USER,
 * ENTRA_GROUP, or 0 for a user and, where there is none, a group. `id` may be NULL.
 */
int entra_name_to_sid(const char *name, uint32_t kind, struct entra_sid *sid, struct entra_id *id);

/* The canonical name of a SID, with its NUL. `id` and `needed` may be NULL. */
int entra_sid_to_name(const struct entra_sid *sid, struct entra_id *id, char *name, size_t size, size_t *needed);

/*
 * Records. `buffer` of `size` bytes takes the texts; after ENTRA_RANGE, *needed says how many bytes are enough for what
 * the record is now. `needed` may be NULL, and so may a buffer of 0 bytes.
 */
int entra_user_by_name(const char *name, struct entra_user *user, void *buffer, size_t size, size_t *needed);
int entra_user_by_uid(uint32_t uid, struct entra_user *user, void *buffer, size_t size, size_t *needed);

/* By name with all members; by gid with those that entrad has at hand. */
int entra_group_by_name(const char *name, struct entra_group *group, void *buffer, size_t size, size_t *needed);
int entra_group_by_gid(uint32_t gid, struct entra_group *group, void *buffer, size_t size, size_t *needed);

/*
 * The gids of a user, nested groups too: the primary group first, the others ascending. There is room for `count` of
 * them; *needed, where it is not NULL, says how many there are.
 */
int entra_groups_of_user(const char *name, uint32_t *gids, size_t count, size_t *needed);

/* How the host stands. Fills `health` also where it gives ENTRA_UNAVAILABLE, which is where entrad does not answer. */
int entra_health(struct entra_health *health);

#ifdef __cplusplus
}
#endif

#endif /* ENTRA_H */
