// The resources of one installation, inside its resource group: each concern is a module.
param location string
param tags object
param token string
param environmentName string
param principalId string
param principalType string
param audience string
param tokenSha256 string
param functionsKeyRole string
param private bool
param containers bool
param computes array
param workerImage string
param createKeys bool
param recoverVault bool
param instanceMemory int
param maximumInstances int
param watchedFolders string
param retentionDays int
param alertMail string

var dataContainer = 'workspaceblobstore'
var packageContainer = 'packages'
var datastores = string({
  workspaceblobstore: dataContainer
})

module identities 'modules/identities.bicep' = {
  name: 'identities'
  params: {
    location: location
    tags: tags
    token: token
  }
}

module network 'modules/network.bicep' = if (private) {
  name: 'network'
  params: {
    location: location
    tags: tags
    token: token
  }
}

module monitor 'modules/monitor.bicep' = {
  name: 'monitor'
  params: {
    location: location
    tags: tags
    token: token
    retentionDays: retentionDays
    publishers: [
      identities.outputs.appPrincipal
      identities.outputs.workerPrincipal
    ]
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    location: location
    tags: tags
    token: token
    private: private
    containers: [
      dataContainer
      packageContainer
    ]
    queues: flatten(map(computes, compute => [
      'millstream-steps-on-${compute.name}'
      'millstream-steps-urgent-on-${compute.name}'
    ]))
    retentionDays: retentionDays
    appPrincipal: identities.outputs.appPrincipal
    workerPrincipal: identities.outputs.workerPrincipal
    principalId: principalId
    principalType: principalType
    packageContainer: packageContainer
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    location: location
    tags: tags
    token: token
    private: private
    createKeys: createKeys
    recoverVault: recoverVault
    appPrincipal: identities.outputs.appPrincipal
    workerPrincipal: identities.outputs.workerPrincipal
  }
}

module endpoints 'modules/endpoints.bicep' = if (private) {
  name: 'endpoints'
  params: {
    location: location
    tags: tags
    subnetId: private ? network!.outputs.endpointSubnetId : ''
    networkId: private ? network!.outputs.networkId : ''
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module jobs 'modules/jobs.bicep' = if (containers) {
  name: 'jobs'
  params: {
    location: location
    tags: tags
    token: token
    private: private
    subnetId: private ? network!.outputs.jobSubnetId : ''
    image: workerImage
    computes: computes
    workspaceName: monitor.outputs.workspaceName
    storageName: storage.outputs.name
    vaultUri: vault.outputs.uri
    environmentName: environmentName
    datastores: datastores
    serviceUrl: 'https://${app.outputs.hostname}'
    functionsKeyRole: functionsKeyRole
    insightsConnection: monitor.outputs.connection
    appPrincipal: identities.outputs.appPrincipal
    workerIdentityId: identities.outputs.workerId
    workerPrincipal: identities.outputs.workerPrincipal
    workerClientId: identities.outputs.workerClientId
    principalId: principalId
    principalType: principalType
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    location: location
    tags: tags
    token: token
    environmentName: environmentName
    private: private
    subnetId: private ? network!.outputs.appSubnetId : ''
    identityId: identities.outputs.appId
    identityClientId: identities.outputs.appClientId
    storageName: storage.outputs.name
    packageUrl: '${storage.outputs.blobEndpoint}${packageContainer}'
    vaultUri: vault.outputs.uri
    insightsConnection: monitor.outputs.connection
    audience: audience
    tokenSha256: tokenSha256
    functionsKeyRole: functionsKeyRole
    computes: containers ? computes : []
    watchedFolders: watchedFolders
    dataContainer: dataContainer
    datastores: datastores
    instanceMemory: instanceMemory
    maximumInstances: maximumInstances
  }
}

module topic 'modules/topic.bicep' = {
  name: 'topic'
  params: {
    location: location
    tags: tags
    token: token
    storageId: storage.outputs.id
  }
}

module alerts 'modules/alerts.bicep' = if (!empty(alertMail)) {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    token: token
    workspaceId: monitor.outputs.workspaceId
    mail: alertMail
  }
}

output url string = 'https://${app.outputs.hostname}'
output appName string = app.outputs.name
output storageName string = storage.outputs.name
output topicName string = topic.outputs.name
output dataContainer string = dataContainer
output registryEndpoint string = containers ? jobs!.outputs.registryEndpoint : ''
